"""Modules of :mod:`voxnas.arch.primitives.merge`."""

import torch

from voxnas.nn.ops.base import MODULES, Stateless


@MODULES.register("add")
class Add(Stateless):
    """Sum of tensors."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Sum the `inputs`, tensors of one shape (B, C, *S)."""
        return torch.stack(inputs).sum(0) if len(inputs) > 2 else inputs[0] + inputs[1]


@MODULES.register("concat")
class Concat(Stateless):
    """Concatenation along the channels."""

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        """Concatenate the `inputs` (B, C, *S) along C."""
        return torch.cat(inputs, dim=1)
