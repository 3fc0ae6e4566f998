"""Schedules of learning rate and batch: pure functions of the share of the training that is done."""

from __future__ import annotations

import math
from collections.abc import Sequence

WARM_UP = 0.1
START = 1 / 25  # of the rate, from which it rises


def _poly(t: float) -> float:
    """nnU-Net's decay (Isensee et al. 2021): ``(1 - t) ** 0.9``."""
    return (1 - t) ** 0.9


def _cosine(t: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * t))


def _onecycle(t: float) -> float:
    """Up to 1 within the first tenth, then half a cosine down to 0 (Smith 2018)."""
    if t < WARM_UP:
        return START + (1 - START) * t / WARM_UP
    return _cosine((t - WARM_UP) / (1 - WARM_UP))


SCHEDULES = {"poly": _poly, "cosine": _cosine, "onecycle": _onecycle}


def learning_rate_factor(schedule: str, progress: float, warm_up: float = 0.0) -> float:
    """Factor of the recipe's learning rate.

    Parameters
    ----------
    schedule : str
        A key of :data:`SCHEDULES`.
    progress : float
        Samples seen over samples to see, in [0, 1].
    warm_up : float
        Share of the training in which the schedule is multiplied by a line up to 1 (Goyal et al. 2017, gradual
        warm-up), for large batches.
    """
    t = min(max(progress, 0.0), 1.0)
    rise = START + (1 - START) * t / warm_up if t < warm_up else 1.0
    return rise * SCHEDULES[schedule](t)


def batch_at(progress: float, batch_size: int, growth: Sequence[tuple[float, float]] = ()) -> int:
    """Batch-size control (Mikami et al. 2018, section 2.1): the batch grows in the course of the training.

    A large batch early makes a training unstable; later, where the noise of small ones hinders, it does not.

    Parameters
    ----------
    progress : float
        Samples seen over samples to see.
    batch_size : int
        Global batch at the beginning.
    growth : sequence of (float, float)
        From this share of the training on, the batch is so many times that of the beginning; ascending.

    Returns
    -------
    int
        Samples of the next step.
    """
    factor = 1.0
    for share, wanted in growth:
        if progress >= share:
            factor = wanted
    return max(1, round(batch_size * factor))
