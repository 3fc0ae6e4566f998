"""Module of :mod:`voxnas.arch.primitives.time_conv`."""

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES, make_activation, make_norm
from voxnas.nn.ops.clips import channels_first, frames_first


@MODULES.register("time_conv")
class TimeConv(nn.Module):
    """Convolution along time with norm and activation (Tran et al. 2018)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        kernel, stride = int(node.option("time_kernel")), int(node.option("time_stride"))
        # A causal convolution has all padding before the first frame.
        self.before, padding = (kernel - 1, 0) if node.option("causal") else (0, kernel // 2)
        self.conv = nn.Conv2d(channels[0], node.channels, (kernel, 1), (stride, 1), (padding, 0), bias=False)
        self.norm = make_norm(node.norm, node.channels, 2)
        self.activation = make_activation(node.activation)

    def forward(self, clip: Tensor) -> Tensor:
        """Apply the convolution to a clip (B, T, C, *S)."""
        x = channels_first(clip)
        if self.before:
            x = F.pad(x, (0, 0, self.before, 0))
        return frames_first(self.activation(self.norm(self.conv(x))), clip.shape[3:])
