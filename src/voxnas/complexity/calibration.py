"""Prediction of the time and memory of any network on a calibrated device.

This module predicts without torch; :mod:`voxnas.complexity.calibrate` measures. The time of a measured network is its
measured time. The time of any other network is a sum over its nodes of non-negative coefficients times features of the
layers, times a factor of the primitive. This orders networks better than a single count such as MACs, since a
depthwise convolution can take many times as long per MAC.
"""

from collections.abc import Sequence
from typing import Literal

from voxnas.complexity.features import features
from voxnas.complexity.memory_model import training_mib
from voxnas.core.architecture import Architecture
from voxnas.core.calibration import Calibration, TimeModel
from voxnas.core.canonical import digest
from voxnas.core.errors import UserError
from voxnas.core.settings import Budget


def identity(architecture: Architecture) -> str:
    """Return the key of an architecture in the table of measured networks."""
    return digest(architecture.plain())


def _predict(
    calibration: Calibration,
    architecture: Architecture,
    patch: Sequence[int],
    what: Literal["train_seconds", "latency_ms"],
) -> float:
    row = calibration.table.get(identity(architecture))
    if row is not None and tuple(patch) == row.patch:
        return float(getattr(row, what))
    model: TimeModel = getattr(calibration.model, what)
    return model.predict(features(architecture, patch, training=what == "train_seconds"))


def predict_train_seconds(calibration: Calibration, architecture: Architecture, patch: Sequence[int]) -> float:
    """Predict the CPU seconds of training on one sample: forward, backward and optimizer.

    Parameters
    ----------
    calibration : Calibration
    architecture : Architecture
    patch : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of one sample.
    """
    return _predict(calibration, architecture, patch, "train_seconds")


def predict_sample_seconds(calibration: Calibration, architecture: Architecture, patch: Sequence[int]) -> float:
    """Predict the CPU seconds of a training per sample: :func:`predict_train_seconds` plus the time to read it."""
    return predict_train_seconds(calibration, architecture, patch) + calibration.reading.get(architecture.view, 0.0)


def predict_latency_ms(calibration: Calibration, architecture: Architecture, patch: Sequence[int]) -> float:
    """Predict the wall time of a forward pass of one sample in ms (see :func:`predict_train_seconds`)."""
    return _predict(calibration, architecture, patch, "latency_ms")


def predict_training_mib(calibration: Calibration, architecture: Architecture, patch: Sequence[int]) -> float:
    """Predict the peak memory of a training step in MiB: the memory model times the factor of the device."""
    memory = calibration.memory
    return memory.factor * training_mib(architecture, patch, calibration.batch_size, memory.bf16, memory.cuda)


def samples_of(
    budget: Budget,
    calibration: Calibration | None,
    architecture: Architecture,
    patch: Sequence[int],
) -> int:
    """Return the training samples within a budget, including their reading, in whole batches (at least one).

    Parameters
    ----------
    budget : Budget
    calibration : Calibration or None
        Needed for CPU seconds.
    architecture, patch
        See :func:`predict_train_seconds`.

    Raises
    ------
    UserError
        If the budget is in CPU seconds and there is no calibration.
    """
    if budget.unit == "samples":
        return max(1, round(budget.amount))
    if calibration is None:
        raise UserError(
            f"a budget of {budget.amount} cpu_seconds needs a calibration and there is none",
            "run the stage calibrate, or give the budget in samples",
        )
    batch = calibration.batch_size
    steps = budget.amount / (batch * predict_sample_seconds(calibration, architecture, patch))
    return batch * max(1, int(steps))
