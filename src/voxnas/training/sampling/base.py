"""The samples of a training and their order: a pure function of (seed, j).

Samplers have no state, so a resumed training needs no state of a random generator.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from voxnas.core.seeds import derive_seed


class Sampler(ABC):
    """Source of the batches: each epoch is a permutation of `count` scans or samples.

    Parameters
    ----------
    seed : int
        Seed of all random draws.
    count : int
        Number of scans or samples.

    Attributes
    ----------
    epoch : int
        Samples per epoch.
    """

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.epoch = seed, count
        self._order: tuple[int, np.ndarray] = (-1, np.empty(0))

    def position(self, sample: int) -> int:
        """Position of `sample` j among the scans or samples."""
        epoch, place = divmod(sample, self.epoch)
        if self._order[0] != epoch:
            rng = np.random.default_rng(derive_seed(self.seed, "epoch", epoch))
            self._order = (epoch, rng.permutation(self.epoch))
        return int(self._order[1][place])

    @abstractmethod
    def scan_of(self, sample: int) -> str:
        """Scan of `sample` j."""

    @abstractmethod
    def sample(self, sample: int) -> tuple[Tensor, Tensor]:
        """Return the input of the network and the target of `sample` j."""

    def batch(self, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Inputs (B, ...) and targets (B, ...) of the given `samples`."""
        pairs = [self.sample(j) for j in samples]
        return torch.stack([x for x, _ in pairs]), torch.stack([target for _, target in pairs])
