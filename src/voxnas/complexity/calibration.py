"""Prediction of the time and memory of any network on a calibrated device.

This module predicts without torch; :mod:`voxnas.complexity.calibrate` measures. The time of a measured network is its
measured time. The time of any other network is a sum over its nodes of non-negative coefficients times features of the
layers, times a factor of the primitive. This orders networks better than a single count such as MACs, since a
depthwise convolution can take many times as long per MAC.
"""

from collections.abc import Sequence
from typing import Literal

from voxnas.complexity.features import features, update_features
from voxnas.complexity.memory_model import training_mib
from voxnas.core.architecture import Architecture
from voxnas.core.calibration import Calibration, ProcessCost, TimeModel
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


def predict_update_seconds(
    calibration: Calibration, architecture: Architecture, patch: Sequence[int], optimizer: str
) -> float:
    """Predict the CPU seconds of one update of the weights (see :func:`predict_train_seconds`)."""
    row = calibration.table.get(identity(architecture))
    if row is not None and optimizer in row.update_seconds:
        return row.update_seconds[optimizer]
    coefficients = calibration.updates.get(optimizer, {})
    return sum(coefficients.get(name, 0.0) * value for name, value in update_features(architecture, patch).items())


def predict_train_seconds(
    calibration: Calibration, architecture: Architecture, patch: Sequence[int], optimizer: str = "adamw"
) -> float:
    """Predict the CPU seconds of training on one sample: forward and backward pass, and its share of an update.

    Parameters
    ----------
    calibration : Calibration
    architecture : Architecture
    patch : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of one sample.
    optimizer : str
        Optimizer of the recipe.
    """
    update = predict_update_seconds(calibration, architecture, patch, optimizer) / calibration.batch_size
    return _predict(calibration, architecture, patch, "train_seconds") + update


def predict_sample_seconds(
    calibration: Calibration, architecture: Architecture, patch: Sequence[int], optimizer: str = "adamw"
) -> float:
    """Predict the CPU seconds of a training per sample, without its start and its validations.

    The parameters are those of :func:`predict_train_seconds`; the reading of the sample is included.
    """
    process = calibration.process.get(architecture.view, ProcessCost())
    passes = predict_train_seconds(calibration, architecture, patch, optimizer)
    return passes + process.read + process.step / calibration.batch_size


def predict_fixed_seconds(calibration: Calibration, architecture: Architecture, patch: Sequence[int]) -> float:
    """Predict the CPU seconds of a training that do not depend on its samples: its start and its validations."""
    process = calibration.process.get(architecture.view, ProcessCost())
    predictions = process.predictions * predict_latency_ms(calibration, architecture, patch) / 1e3
    return process.start + calibration.validations * (process.validation + predictions)


def predict_latency_ms(calibration: Calibration, architecture: Architecture, patch: Sequence[int]) -> float:
    """Predict the wall time of a forward pass of one sample in ms (see :func:`predict_train_seconds`)."""
    return _predict(calibration, architecture, patch, "latency_ms")


def predict_training_mib(calibration: Calibration, architecture: Architecture, patch: Sequence[int]) -> float:
    """Predict the peak memory of a training step in MiB: the memory model times the factor of the device."""
    memory = calibration.memory
    return memory.factor * training_mib(architecture, patch, calibration.batch_size, memory.bf16, memory.cuda)


def affordable_samples(
    amount: float, calibration: Calibration, architecture: Architecture, patch: Sequence[int], optimizer: str
) -> int:
    """Return the samples, in whole batches, of a training within `amount` CPU seconds; 0 if it cannot afford a batch.

    The amount pays for everything that the process does: its start, the reading of samples, the steps of the given
    optimizer, and the validations. The parameters are those of :func:`predict_train_seconds`.
    """
    batch = calibration.batch_size
    left = amount - predict_fixed_seconds(calibration, architecture, patch)
    return batch * max(0, int(left / (batch * predict_sample_seconds(calibration, architecture, patch, optimizer))))


def samples_of(
    budget: Budget,
    calibration: Calibration | None,
    architecture: Architecture,
    patch: Sequence[int],
    optimizer: str,
    share: float = 1.0,
) -> int:
    """Return the training samples within a budget, at least one.

    Parameters
    ----------
    budget : Budget
    calibration : Calibration or None
        Needed for CPU seconds.
    architecture, patch, optimizer
        See :func:`predict_train_seconds`.
    share : float
        Factor on the amount.

    Raises
    ------
    UserError
        If the budget is in CPU seconds and there is no calibration, or it does not pay for one batch.
    """
    amount = share * budget.amount
    if budget.unit == "samples":
        return max(1, round(amount))
    if calibration is None:
        raise UserError(
            f"a budget of {amount:g} cpu_seconds needs a calibration and there is none",
            "run the stage calibrate, or give the budget in samples",
        )
    samples = affordable_samples(amount, calibration, architecture, patch, optimizer)
    if not samples:
        batch = calibration.batch_size * predict_sample_seconds(calibration, architecture, patch, optimizer)
        fixed = predict_fixed_seconds(calibration, architecture, patch)
        name = getattr(architecture, "name", architecture.family)
        raise UserError(
            f"a budget of {amount:g} cpu_seconds does not pay for a training of {name!r}: its start and "
            f"{calibration.validations} validations take {fixed:.3g} s, one batch {batch:.3g} s",
            "raise the budget, lower training.validations, or remove the network from baselines.names",
        )
    return samples
