"""Shared parts of the temporal modules: the order of a clip's axes, and a norm over all frames of a clip."""

from torch import Size, Tensor, nn

from voxnas.nn.ops.base import make_norm


def channels_first(clip: Tensor) -> Tensor:
    """Return a clip (B, T, C, *S) as (B, C, T, P) with P voxels in one axis, so that 2D layers apply to it."""
    return clip.flatten(3).transpose(1, 2)


def frames_first(x: Tensor, size: Size) -> Tensor:
    """Return x (B, C, T, P) as a clip (B, T, C, *S) of spatial `size`, the inverse of :func:`channels_first`."""
    return x.transpose(1, 2).unflatten(3, size)


class ClipNorm(nn.Module):
    """A norm over all frames of a clip together, which preserves the differences between frames.

    Parameters
    ----------
    kind : str
        For :func:`voxnas.nn.ops.base.make_norm`.
    channels : int
    """

    def __init__(self, kind: str, channels: int) -> None:
        super().__init__()
        self.norm = make_norm(kind, channels, 2)

    def forward(self, clip: Tensor) -> Tensor:
        """Normalise a clip (B, T, C, *S)."""
        return frames_first(self.norm(channels_first(clip)), clip.shape[3:])
