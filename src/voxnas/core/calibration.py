"""The calibration of a device (calibration.json): measured networks, and the models fitted to them."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from voxnas.core.record import Record

ByPrimitive = Mapping[str, Mapping[str, float]]
"""Features of a network or node, by primitive."""


class TimeModel(Record):
    """Linear model of a time: coefficients of the features, and a factor for each primitive."""

    coefficients: dict[str, float]
    factors: dict[str, float]

    def predict(self, found: ByPrimitive) -> float:
        """Predict the time of a network or node."""
        return sum(
            self.factors.get(op, 1.0) * sum(self.coefficients[name] * value for name, value in row.items())
            for op, row in found.items()
        )


class TimeModels(Record):
    """Models of the predicted times."""

    train_seconds: TimeModel
    latency_ms: TimeModel


class MeasuredNetwork(Record):
    """A timed network; times are per sample, of an update per step."""

    name: str
    architecture: dict[str, Any]
    patch: tuple[int, ...] = Field(description="(D, H, W) or (T, D, H, W) in voxels.")
    train_seconds: float = Field(description="Forward and backward pass.")
    latency_ms: float
    update_seconds: dict[str, float] = Field({}, description="Update of the weights, by optimizer.")
    parameters: int
    macs: int
    activations: int


class RelativeError(Record):
    """Relative error of leave-one-out predictions over the measured networks."""

    median: float
    largest: float


class RelativeErrors(Record):
    """Errors of the models."""

    train_seconds: RelativeError
    latency_ms: RelativeError


class MemoryPeak(Record):
    """Peak memory of a training step in MiB."""

    predicted_mib: float
    measured_mib: float


class MemoryCorrection(Record):
    """Ratio of measured to modelled memory on this device, with the measurements."""

    cuda: bool
    bf16: bool
    factor: float
    table: tuple[MemoryPeak, ...]


class HalfPrecision(Record):
    """Benefit of bfloat16 on this device."""

    in_hardware: bool
    train_speedup: float = Field(description="Time of a training step in float32 over its time in bfloat16.")


class ProcessCost(Record):
    """CPU seconds of a training besides its passes and updates, for one view; wall time beside a GPU."""

    start: float = Field(0.0, description="From the start of the process to the first step: imports, data, network.")
    read: float = Field(0.0, description="Reading and augmentation of one sample.")
    step: float = Field(0.0, description="Rest of a step: loss, clipping of gradients, progress.")
    validation: float = Field(0.0, description="Rest of a validation: reading, scores.")
    predictions: float = Field(0.0, description="Number of predictions of one patch with the cost of a validation.")


class Calibration(Record):
    """The content of calibration.json."""

    schema_version: Literal[5] = 5
    batch_size: int
    validations: int = Field(description="Validations per training.")
    table: dict[str, MeasuredNetwork] = Field(description="Measured networks by the digest of their architecture.")
    model: TimeModels
    updates: dict[str, dict[str, float]] = Field(
        {}, description="Coefficients of the features of an update, in seconds, by optimizer."
    )
    nodes: int = Field(description="Number of single nodes timed.")
    error: RelativeErrors
    memory: MemoryCorrection
    bf16: HalfPrecision
    device: dict[str, Any] = Field(description="Processor or GPU, versions, threads and precision.")
    seconds: float = Field(description="Duration of the measurements.")
    process: dict[str, ProcessCost] = Field({}, description="Costs besides passes and updates, by view.")


class DeviceCalibration(Calibration):
    """The calibration of one kind of node, used for placement only."""

    start_seconds: float = Field(description="Wall time from the start of a training process to its use of the device.")
    wall_factor: float = Field(description="Wall time / counted time; above 1 if the node is shared or throttled.")
