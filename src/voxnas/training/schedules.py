"""Schedules of learning rate and batch: pure functions of the samples that a training has seen.

A schedule with an end depends on the completed share of the training. An anytime schedule depends only on the number
of completed steps, so that a continued training is identical to a longer one. Its rate stays high; averaged weights
(:mod:`voxnas.training.averaging`) take the place of the decay.
"""

import math
from collections.abc import Sequence

WARM_UP = 0.1
START = 1 / 25  # initial share of the rate
ANYTIME_WARM_UP = 20  # steps


def _poly(t: float) -> float:
    """nnU-Net's decay (Isensee et al. 2021): ``(1 - t) ** 0.9``."""
    return (1 - t) ** 0.9


def _cosine(t: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * t))


def _onecycle(t: float) -> float:
    """A rise to 1 within the first tenth, then half a cosine to 0 (Smith 2018)."""
    if t < WARM_UP:
        return START + (1 - START) * t / WARM_UP
    return _cosine((t - WARM_UP) / (1 - WARM_UP))


def _constant(steps: float) -> float:
    """A short rise, then 1."""
    return min(1.0, START + (1 - START) * steps / ANYTIME_WARM_UP)


SCHEDULES = {"poly": _poly, "cosine": _cosine, "onecycle": _onecycle}
ANYTIME = {"constant": _constant}


def learning_rate_factor(schedule: str, progress: float, steps: float, warm_up: float = 0.0) -> float:
    """Factor of the recipe's learning rate.

    Parameters
    ----------
    schedule : str
        A key of :data:`SCHEDULES` or :data:`ANYTIME`.
    progress : float
        Completed share of the samples, in [0, 1].
    steps : float
        Completed steps: samples divided by the initial batch.
    warm_up : float
        Share of the training with a linear warm-up factor (Goyal et al. 2017, gradual warm-up), for large batches.
    """
    t = min(max(progress, 0.0), 1.0)
    rise = START + (1 - START) * t / warm_up if t < warm_up else 1.0
    return rise * (ANYTIME[schedule](steps) if schedule in ANYTIME else SCHEDULES[schedule](t))


def batch_at(progress: float, batch_size: int, growth: Sequence[tuple[float, float]] = ()) -> int:
    """Batch-size control (Mikami et al. 2018, section 2.1): the batch grows during the training.

    Large batches make the early training unstable. Later they are stable, and the noise of small batches is a
    disadvantage.

    Parameters
    ----------
    progress : float
        Completed share of the samples.
    batch_size : int
        Initial global batch.
    growth : sequence of (float, float)
        Ascending pairs of a share of the training and the factor of the batch from that share on.

    Returns
    -------
    int
        Samples of the next step.
    """
    factor = next((factor for share, factor in reversed(growth) if progress >= share), 1.0)
    return max(1, round(batch_size * factor))
