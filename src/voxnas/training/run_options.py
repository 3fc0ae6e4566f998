"""Run options of a training, which do not belong to its identity. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from voxnas.core.record import Record
from voxnas.training.distributed.exchange import Exchange

Launcher = Literal["single", "horovod", "ddp"]
LAUNCHERS: tuple[Launcher, ...] = get_args(Launcher)


class RunOptions(Record):
    """The run options of a training; its processes read them from ``launch.json`` in the store entry."""

    launcher: Launcher = Field("single", description="how processes are started")
    processes: int = Field(1, description="number of processes, on all nodes together")
    nodes: int = Field(1, description="nodes of this Slurm allocation to spread them over")
    micro_batch: int = Field(
        0, description="largest number of samples that a process computes at once; 0: its whole share of a batch"
    )
    shares: Literal["equal", "measured"] = Field(
        "equal", description="shares of a batch: equal, or in proportion to measured speed"
    )
    fusion_mb: float | None = Field(None, description="MiB of gradients in one message; by default that of the backend")
    cycle_ms: float = Field(Exchange.cycle_ms, description="Horovod's cycle time")
    deadline: float | None = Field(None, description="Unix time at which to save and exit with status 75")
    checkpoint_seconds: float = Field(60.0, description="time between two saved states")
    keep_state: bool = Field(False, description="keep the final state for a training that continues this one")
    tensorboard: Path | None = Field(None, description="folder for TensorBoard's event files")
    kind: str = Field("any", description="selected kind of node, for the record")
