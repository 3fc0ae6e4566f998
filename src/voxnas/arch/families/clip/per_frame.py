"""The per-frame counterpart of a network on clips: a network of equal cost that processes each frame alone.

Comparison of both shows whether operators along time improve the score. They add weights and multiply-adds, so the
widths of the per-frame network are raised until both networks have equal cost.
"""

from collections.abc import Sequence
from math import ceil, floor, log

from voxnas.arch.families.base import expand, list_layers
from voxnas.arch.families.clip.record import Clip
from voxnas.core.errors import UserError

TOLERANCE = 0.05  # largest relative difference of the multiply-adds
WIDEST = 16.0  # times the width of the network with time
HALVINGS = 12
HEADS_WITH_ORDER = ("gru", "tcn")


def without_time(architecture: Clip, size: Sequence[int]) -> Clip | None:
    """The network with every operator along time replaced by one of each frame, at equal multiply-adds.

    Operators between the frames and strides in time are left out, temporal differences become the convolutions that
    they approximate, and a recurrent or convolutional head becomes the mean over the frames. The widths of all stages
    are scaled by one factor; wider later stages compensate for the rounding of narrow first stages.

    Parameters
    ----------
    architecture : Clip
    size : sequence of int, (T, D, H, W)
        Size of a clip.

    Returns
    -------
    Clip or None
        A network whose multiply-adds differ by 5 % at most. None: the network does not use time.

    Raises
    ------
    UserError
        If no widths reach this difference, as in networks of a few channels.
    """
    if not expand(architecture).uses_time():
        return None
    plain = {
        **architecture.plain(),
        "block": ["plain" if name == "time_difference" else name for name in architecture.block],
        "temporal": "none",
        "time_strides": 1,
        "time_head": "mean" if architecture.time_head in HEADS_WITH_ORDER else architecture.time_head,
    }
    wanted = _macs(architecture, size)

    def scaled(widths: Sequence[float]) -> Clip:
        *stages, head = (max(1, round(width)) for width in widths)
        return Clip.model_validate({**plain, "widths": stages, "head_width": head if architecture.head_width else 0})

    def error(widths: Sequence[float]) -> float:
        return abs(log(_macs(scaled(widths), size) / wanted))

    own = [*architecture.widths, architecture.head_width]

    def fill(chosen: list[int]) -> list[int]:
        """The best widths that begin with `chosen`; the rest is scaled by one factor, the next rounded up or down."""
        if len(chosen) == len(own):
            return chosen
        low, high = 1 / WIDEST, WIDEST
        for _ in range(HALVINGS):
            middle = (low * high) ** 0.5
            widths = [*chosen, *(middle * width for width in own[len(chosen) :])]
            low, high = (middle, high) if _macs(scaled(widths), size) < wanted else (low, middle)
        exact = low * own[len(chosen)]
        return min((fill([*chosen, width]) for width in {max(1, floor(exact)), max(1, ceil(exact))}), key=error)

    best = fill([])
    if error(best) > log(1 + TOLERANCE):
        raise UserError(f"no network of single frames has the {wanted:,} multiply-adds of one with time")
    return scaled(best)


def _macs(architecture: Clip, size: Sequence[int]) -> int:
    return sum(layer.macs for layer in list_layers(architecture, size))
