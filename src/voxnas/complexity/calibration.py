"""Predicted time of any network on this device, from a record of measured ones.

This module only predicts and imports no torch; :mod:`voxnas.complexity.calibrate` measures. A
network that was measured has its measured time. For any other the time is a sum of non-negative
coefficients times facts of its layers, which keeps its place among the measured ones where a
single count (MACs) would not: a depthwise convolution can need fifty times as long for a MAC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from voxnas.core.architecture import AnyArchitecture
from voxnas.core.canonical import digest
from voxnas.core.errors import UserError
from voxnas.core.networks import list_layers

LANES = 16  # a convolution computes its channels in blocks of so many, full or not
FEATURES = ("dense", "depthwise", "activations", "voxels", "layers", "parameters")


def features(architecture: AnyArchitecture, patch: Sequence[int]) -> dict[str, float]:
    """What the time of one sample is made of, in billions (MACs) and millions (the rest).

    ``dense`` counts the multiply-adds of ordinary convolutions with the channels rounded up to
    the vector width, ``depthwise`` those of depthwise ones; ``activations`` counts the elements
    that layers write, ``voxels`` their voxels whatever the channels, ``layers`` and
    ``parameters`` what does not grow with the input.
    """
    found = dict.fromkeys(FEATURES, 0.0)
    for layer in list_layers(architecture, patch):
        if not layer.frames:  # computed in training only
            found["parameters"] += layer.parameters / 1e6
            continue
        voxels = layer.frames * prod(layer.size)
        found["activations"] += layer.out_channels * voxels / 1e6
        found["voxels"] += voxels / 1e6
        found["layers"] += 1e-6
        found["parameters"] += layer.parameters / 1e6
        if layer.depthwise:
            found["depthwise"] += layer.macs / 1e9
        else:
            padding = _padded(layer.in_channels) * _padded(layer.out_channels)
            found["dense"] += layer.macs / 1e9 * padding / (layer.in_channels * layer.out_channels)
    return found


def _padded(channels: int) -> int:
    return -(-channels // LANES) * LANES


def identity(architecture: AnyArchitecture) -> str:
    """By which the table of measured networks is looked up."""
    return digest(architecture.plain())


def _predict(calibration: Mapping[str, Any], architecture: AnyArchitecture, patch: Sequence[int], what: str) -> float:
    if list(patch) == list(calibration["patch"]):
        row = calibration["table"].get(identity(architecture))
        if row is not None:
            return row[what]
    coefficients = calibration["coefficients"][what]
    facts = features(architecture, patch)
    return sum(coefficients[name] * facts[name] for name in FEATURES)


def predict_train_seconds(calibration: Mapping[str, Any], architecture: AnyArchitecture, patch: Sequence[int]) -> float:
    """CPU seconds of training on one sample: forward, backward and optimizer.

    Parameters
    ----------
    calibration : mapping
        The study's ``calibration.json``.
    architecture : AnyArchitecture
        What is trained.
    patch : sequence of int, (D, H, W)
        Voxels of one sample.
    """
    return _predict(calibration, architecture, patch, "train_seconds")


def predict_latency_ms(calibration: Mapping[str, Any], architecture: AnyArchitecture, patch: Sequence[int]) -> float:
    """Wall time, in ms, of a forward pass of one sample (see :func:`predict_train_seconds`)."""
    return _predict(calibration, architecture, patch, "latency_ms")


def samples_of(
    budget: Mapping[str, Any],
    calibration: Mapping[str, Any] | None,
    architecture: AnyArchitecture,
    patch: Sequence[int],
) -> int:
    """Training samples that a budget buys: whole batches of the calibration, at least one.

    Parameters
    ----------
    budget : mapping
        ``amount`` and ``unit``, which is ``samples`` or ``cpu_seconds``.
    calibration : mapping or None
        Needed for CPU seconds.
    architecture, patch
        See :func:`predict_train_seconds`.

    Raises
    ------
    UserError
        If the budget is in CPU seconds and there is no calibration.
    """
    if budget["unit"] == "samples":
        return max(1, round(budget["amount"]))
    if calibration is None:
        raise UserError(
            f"a budget of {budget['amount']} cpu_seconds needs a calibration and there is none",
            "run the stage calibrate, or give the budget in samples",
        )
    batch = calibration["batch_size"]
    steps = budget["amount"] / (batch * predict_train_seconds(calibration, architecture, patch))
    return batch * max(1, int(steps))
