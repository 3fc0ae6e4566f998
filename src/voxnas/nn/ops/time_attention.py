"""Module of :mod:`voxnas.arch.primitives.time_attention`."""

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from voxnas.arch.graph import Node
from voxnas.arch.layers import divisor_up_to
from voxnas.nn.ops.base import MODULES, make_norm
from voxnas.nn.ops.clips import channels_first, frames_first


def time_positions(frames: int, channels: int, like: torch.Tensor) -> torch.Tensor:
    """Sinusoids (C, T, 1) that encode the position of each frame (Vaswani et al. 2017, section 3.5).

    Parameters
    ----------
    frames, channels : int
        T and C.
    like : Tensor, (...)
        Gives the type and the device.
    """
    half = -(-channels // 2)
    rate = torch.exp(torch.arange(half, device=like.device) * (-math.log(10000.0) / half))
    angle = torch.arange(frames, device=like.device)[:, None] * rate
    return torch.cat((angle.sin(), angle.cos()), dim=1)[:, :channels].T.unsqueeze(2).to(like.dtype)


@MODULES.register("time_attention")
class TimeAttention(nn.Module):
    """Attention of each voxel over its frames (Bertasius et al. 2021)."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        self.heads = divisor_up_to(channels[0], int(node.option("heads")))
        self.norm = make_norm(node.norm, channels[0], 2)
        self.inwards = nn.Conv2d(channels[0], 3 * channels[0], 1, bias=False)
        self.outwards = nn.Conv2d(channels[0], channels[0], 1)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Apply the attention to a clip (B, T, C, *S)."""
        x = channels_first(clip)
        batch, channels, frames, voxels = x.shape
        tokens = self.norm(x) + time_positions(frames, channels, x)
        # (B, 3, heads, C / heads, T, P) to (3, B, P, heads, T, C / heads)
        parts = self.inwards(tokens).unflatten(1, (3, self.heads, -1)).permute(1, 0, 5, 2, 4, 3)
        query, key, value = parts.flatten(1, 2)
        mixed = F.scaled_dot_product_attention(query, key, value)
        mixed = mixed.unflatten(0, (batch, voxels)).permute(0, 2, 4, 3, 1).flatten(1, 2)
        return frames_first(x + self.outwards(mixed), clip.shape[3:])
