"""What the temporal modules share: the order of a clip's axes, and a norm over all frames of a clip."""

from __future__ import annotations

import torch
from torch import nn

from voxnas.nn.ops.base import make_norm


def channels_first(clip: torch.Tensor) -> torch.Tensor:
    """A clip (B, T, C, *S) as (B, C, T, P), with its P voxels in a row: then all of it is two-dimensional."""
    return clip.flatten(3).transpose(1, 2)


def frames_first(x: torch.Tensor, size: torch.Size) -> torch.Tensor:
    """Return x (B, C, T, P) as a clip (B, T, C, *S) of the spatial size S, the inverse of :func:`channels_first`."""
    return x.transpose(1, 2).unflatten(3, size)


class ClipNorm(nn.Module):
    """A norm over all frames of a clip together: the differences of the frames remain.

    Parameters
    ----------
    kind : str
        For :func:`voxnas.nn.ops.base.make_norm`.
    channels : int
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.norm = make_norm(kind, channels, 2)

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Normalise a clip (B, T, C, *S)."""
        return frames_first(self.norm(channels_first(clip)), clip.shape[3:])
