"""Module of :mod:`voxnas.arch.primitives.time_tcn`."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.parametrizations import weight_norm

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES, make_activation
from voxnas.nn.ops.clips import channels_first


class _Level(nn.Module):
    """Two causal convolutions with one dilation and a skip, on (B, C, T, P)."""

    def __init__(self, in_channels: int, node: Node, dilation: int) -> None:
        super().__init__()
        kernel, channels = int(node.option("time_kernel")), node.channels
        self.before = dilation * (kernel - 1)
        self.first = weight_norm(nn.Conv2d(in_channels, channels, (kernel, 1), dilation=(dilation, 1)))
        self.second = weight_norm(nn.Conv2d(channels, channels, (kernel, 1), dilation=(dilation, 1)))
        self.skip = nn.Identity() if in_channels == channels else nn.Conv2d(in_channels, channels, 1)
        self.activation = make_activation(node.activation)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activation(self.first(F.pad(x, (0, 0, self.before, 0))))
        y = self.activation(self.second(F.pad(y, (0, 0, self.before, 0))))
        return self.activation(y + self.skip(x))


@MODULES.register("time_tcn")
class TimeTCN(nn.Module):
    """The last frame after dilated causal convolutions (Bai et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        given = [channels[0], *[node.channels] * (int(node.option("levels")) - 1)]
        self.levels = nn.Sequential(*(_Level(width, node, 2**level) for level, width in enumerate(given)))

    def forward(self, clip: Tensor) -> Tensor:
        """Reduce a clip (B, T, C, *S) to (B, K, *S)."""
        return self.levels(channels_first(clip))[:, :, -1].unflatten(2, clip.shape[3:])
