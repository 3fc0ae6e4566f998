"""The calibration of a device (calibration.json): measured networks, and the fit that predicts all others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from voxnas.core.record import Record

ByPrimitive = Mapping[str, Mapping[str, float]]
"""Features of a network or node for each of its primitives."""


class TimeModel(Record):
    """Time for each unit of a feature, and the factor of each primitive."""

    coefficients: dict[str, float]
    factors: dict[str, float]

    def predict(self, found: ByPrimitive) -> float:
        """Time of a network or node."""
        return sum(
            self.factors.get(op, 1.0) * sum(self.coefficients[name] * value for name, value in row.items())
            for op, row in found.items()
        )


class TimeModels(Record):
    """A model of each time that is predicted."""

    train_seconds: TimeModel
    latency_ms: TimeModel


class MeasuredNetwork(Record):
    """A network that was timed; its times are for one sample."""

    name: str
    architecture: dict[str, Any]
    patch: tuple[int, ...] = Field(description="(D, H, W) or (T, D, H, W) in voxels.")
    train_seconds: float
    latency_ms: float
    parameters: int
    macs: int
    activations: int


class RelativeError(Record):
    """Relative error over the measured networks, each predicted from the others."""

    median: float
    largest: float


class RelativeErrors(Record):
    """The error of each model."""

    train_seconds: RelativeError
    latency_ms: RelativeError


class MemoryPeak(Record):
    """Peak memory of a training step in MiB."""

    predicted_mib: float
    measured_mib: float


class MemoryCorrection(Record):
    """Factor between the memory model and this device, and the measurements behind it."""

    cuda: bool
    bf16: bool
    factor: float
    table: tuple[MemoryPeak, ...]


class HalfPrecision(Record):
    """Benefit of bfloat16."""

    in_hardware: bool
    train_speedup: float = Field(description="Time of a training step in float32 over its time in bfloat16.")


class Calibration(Record):
    """The content of calibration.json."""

    schema_version: Literal[4] = 4
    batch_size: int
    table: dict[str, MeasuredNetwork] = Field(description="Measured networks by the digest of their architecture.")
    model: TimeModels
    nodes: int = Field(description="Single nodes that were timed.")
    error: RelativeErrors
    memory: MemoryCorrection
    bf16: HalfPrecision
    device: dict[str, Any] = Field(description="Processor or GPU, versions, threads and precision.")
    seconds: float = Field(description="Duration of the measurements.")
    reading: dict[str, float] = Field({}, description="Seconds of reading one sample of each view.")


class DeviceCalibration(Calibration):
    """The calibration of one kind of node, for placement alone."""

    start_seconds: float = Field(description="Wall time until a training process has its device.")
    wall_factor: float = Field(
        description="Wall time over the counted time: the share of a node that is shared or throttled."
    )
