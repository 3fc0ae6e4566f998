"""Module of :mod:`voxnas.arch.primitives.dense_layer`."""

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.arch.graph import Node
from voxnas.arch.layers import ones
from voxnas.arch.primitives.dense_layer import BOTTLENECK
from voxnas.nn.ops.base import CONV, MODULES, make_activation, make_conv, make_norm


@MODULES.register("dense_layer")
class DenseLayer(nn.Module):
    """The input concatenated with the output of two convolutions (Huang et al. 2017)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        dims, growth = len(node.stride), int(node.option("growth"))
        inner = BOTTLENECK * growth
        self.path = nn.Sequential(
            make_norm(node.norm, channels[0], dims),
            make_activation(node.activation),
            CONV[dims](channels[0], inner, 1, bias=False),
            make_norm(node.norm, inner, dims),
            make_activation(node.activation),
            make_conv(inner, growth, node.kernel, ones(dims)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Append channels to x (B, C, *S)."""
        return torch.cat((x, self.path(x)), 1)
