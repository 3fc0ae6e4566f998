"""Module of :mod:`voxnas.arch.primitives.time_gru`."""

from collections.abc import Sequence

from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import MODULES
from voxnas.nn.ops.clips import channels_first


@MODULES.register("time_gru")
class TimeGRU(nn.Module):
    """The last state of a gated recurrent unit (Cho et al. 2014)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.gru = nn.GRU(channels[0], node.channels, batch_first=True)

    def forward(self, clip: Tensor) -> Tensor:
        """Reduce a clip (B, T, C, *S) to (B, K, *S)."""
        x = channels_first(clip)
        batch, channels, frames, voxels = x.shape
        series = x.permute(0, 3, 2, 1).reshape(batch * voxels, frames, channels)
        state = self.gru(series)[1][0]
        return state.reshape(batch, voxels, -1).transpose(1, 2).unflatten(2, clip.shape[3:])
