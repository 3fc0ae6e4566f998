"""Learning-rate schedules: pure functions of the share of the training that is done."""

from __future__ import annotations

import math

WARM_UP = 0.1
ONECYCLE_START = 1 / 25


def _poly(t: float) -> float:
    """nnU-Net's decay (Isensee et al. 2021): ``(1 - t) ** 0.9``."""
    return (1 - t) ** 0.9


def _cosine(t: float) -> float:
    """Half a cosine from 1 to 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * t))


def _onecycle(t: float) -> float:
    """Up to 1 within the first tenth, then half a cosine down to 0 (Smith 2018)."""
    if t < WARM_UP:
        return ONECYCLE_START + (1 - ONECYCLE_START) * t / WARM_UP
    return _cosine((t - WARM_UP) / (1 - WARM_UP))


SCHEDULES = {"poly": _poly, "cosine": _cosine, "onecycle": _onecycle}


def learning_rate_factor(schedule: str, progress: float) -> float:
    """Factor of the recipe's learning rate.

    Parameters
    ----------
    schedule : str
        A key of :data:`SCHEDULES`.
    progress : float
        Samples seen over samples to see, in [0, 1].
    """
    return SCHEDULES[schedule](min(max(progress, 0.0), 1.0))
