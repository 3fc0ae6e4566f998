"""Module of :mod:`voxnas.arch.primitives.excite`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.excite import squeezed_channels
from voxnas.nn.ops.base import CONV, MODULES, make_activation


@MODULES.register("excite")
class Excite(nn.Module):
    """Squeeze-and-excitation (Hu et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        conv = CONV[len(node.stride)]
        hidden = squeezed_channels(channels[0], int(node.option("reduction")))
        self.axes = tuple(range(2, 2 + len(node.stride)))
        self.scale = nn.Sequential(
            conv(channels[0], hidden, 1),
            make_activation(node.activation),
            conv(hidden, channels[0], 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Scale the channels of x (B, C, *S)."""
        return x * self.scale(x.mean(self.axes, keepdim=True))
