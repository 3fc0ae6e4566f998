"""A linear model as a module: what it weighs of an input, and a linear layer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.arch.families.linear import Linear
from voxnas.core.architecture import ArchitectureRecord


class LinearModel(nn.Module):
    """A linear layer on averaged voxels, pairs of regions, or volume.

    Parameters
    ----------
    architecture : Linear
    grid : sequence of int, (3,)
        Number of weights of each channel, (D, H, W), as of :func:`~voxnas.arch.views.input_size`.
    """

    grid: Tensor

    def __init__(self, architecture: ArchitectureRecord, grid: Sequence[int]) -> None:
        super().__init__()
        self.view, self.whole = architecture.view, cast(Linear, architecture).features == "volume"
        self.register_buffer("grid", torch.tensor(grid))
        self.linear = nn.Linear(architecture.in_channels * prod(grid), architecture.out_channels)

    @classmethod
    def empty(cls, architecture: ArchitectureRecord, tensors: Mapping[str, Tensor]) -> LinearModel:
        """A model of the size that the saved tensors have."""
        return cls(architecture, tensors["grid"].tolist())

    def features(self, x: Tensor) -> Tensor:
        """What is weighed.

        Parameters
        ----------
        x : Tensor, (B, C, D, H, W)
            Of clips (B, T, C, D, H, W), of series (B, R, 1, 1, T), of correlations (B, 1, 1, R, R).

        Returns
        -------
        Tensor, (B, F)
            Averages over coarse voxels, of clips those of each volume; the last frame of series; the values above
            the diagonal of a matrix; or the number of voxels that are not 0.
        """
        if self.whole:
            return (x != 0).flatten(2).sum(2).to(x.dtype)
        if self.view == "connectivity":
            rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1], 1, device=x.device)
            return x[..., rows, columns].flatten(1)
        if self.view == "series":
            x = x[..., -1:]
        elif self.view == "clips":
            x = x.transpose(1, 2).flatten(2, 3)  # volumes one above the other; no coarse voxel reaches into the next
        return F.adaptive_avg_pool3d(x, tuple(self.grid.tolist())).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits or values, (B, K); in float32 always, for it costs nothing."""
        with torch.autocast(x.device.type, enabled=False):
            return self.linear(self.features(x.float()))
