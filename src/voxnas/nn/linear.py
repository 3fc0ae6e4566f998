"""A linear model as a module: the features of an input, and a linear layer."""

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
    """A linear layer on averaged voxels, pairs of regions, or the volume of a structure.

    Parameters
    ----------
    architecture : Linear
    grid : sequence of int, (3,)
        Number of weights of each channel, (D, H, W), from :func:`~voxnas.arch.views.input_size`.
    """

    grid: Tensor

    def __init__(self, architecture: ArchitectureRecord, grid: Sequence[int]) -> None:
        super().__init__()
        self.view, self.whole = architecture.view, cast(Linear, architecture).features == "volume"
        self.register_buffer("grid", torch.tensor(grid))
        self.linear = nn.Linear(architecture.in_channels * prod(grid), architecture.out_channels)

    @classmethod
    def empty(cls, architecture: ArchitectureRecord, tensors: Mapping[str, Tensor]) -> LinearModel:
        """Make a model of an `architecture` in the size of its saved `tensors`."""
        return cls(architecture, tensors["grid"].tolist())

    def features(self, x: Tensor) -> Tensor:
        """Compute the features of the linear layer.

        Parameters
        ----------
        x : Tensor, (B, C, D, H, W)
            Clips have the shape (B, T, C, D, H, W), series (B, R, 1, 1, T), correlations (B, 1, 1, R, R).

        Returns
        -------
        Tensor, (B, F)
            Averages over coarse voxels (of each volume of a clip), the last frame of a series, the values above the
            diagonal of a matrix, or the number of non-zero voxels.
        """
        if self.whole:
            return (x != 0).flatten(2).sum(2).to(x.dtype)
        if self.view == "connectivity":
            rows, columns = torch.triu_indices(x.shape[-1], x.shape[-1], 1, device=x.device)
            return x[..., rows, columns].flatten(1)
        if self.view == "series":
            x = x[..., -1:]
        elif self.view == "clips":
            x = x.transpose(1, 2).flatten(2, 3)  # volumes are stacked along D; coarse voxels do not cross their borders
        return F.adaptive_avg_pool3d(x, tuple(self.grid.tolist())).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits or values (B, K) of x in float32, which costs little."""
        with torch.autocast(x.device.type, enabled=False):
            return self.linear(self.features(x.float()))
