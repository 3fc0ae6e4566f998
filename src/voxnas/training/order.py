"""In which order a training sees what it trains on: a pure function of (seed, j)."""

from __future__ import annotations

import numpy as np

from voxnas.core.seeds import derive_seed


class Order:
    """Each epoch is a permutation of `count` things.

    Nothing is remembered between samples, so a resumed training needs no state of a random generator.

    Parameters
    ----------
    seed : int
        Everything derives from it.
    count : int
        How many there are.
    """

    def __init__(self, seed: int, count: int) -> None:
        self.seed, self.count = seed, count
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0))

    def __getitem__(self, sample: int) -> int:
        """Position of sample j."""
        epoch, position = divmod(sample, self.count)
        if self._epoch[0] != epoch:
            rng = np.random.default_rng(derive_seed(self.seed, "epoch", epoch))
            self._epoch = (epoch, rng.permutation(self.count))
        return int(self._epoch[1][position])
