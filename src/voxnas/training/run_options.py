"""Options of the execution of a training, which are not part of its identity. Imports no torch."""

from pathlib import Path
from typing import Literal, get_args

from pydantic import Field

from voxnas.core.record import Record
from voxnas.training.distributed.exchange import Exchange

Launcher = Literal["single", "horovod", "ddp"]
LAUNCHERS: tuple[Launcher, ...] = get_args(Launcher)


class RunOptions(Record):
    """The run options of a training; its processes read them from ``launch.json`` in the store entry."""

    launcher: Launcher = Field("single", description="launcher of the processes")
    processes: int = Field(1, description="total number of processes on all nodes")
    nodes: int = Field(1, description="number of nodes of the Slurm allocation to use")
    micro_batch: int = Field(
        0, description="maximum number of samples per forward pass of a process; 0: its whole share of the batch"
    )
    recompute: int = Field(
        0, ge=0, le=1, description="1: the backward pass recomputes the inner tensors of each operator, to save memory"
    )
    shares: Literal["equal", "measured"] = Field(
        "equal", description="shares of a batch: equal, or proportional to the measured speed of the processes"
    )
    fusion_mb: float | None = Field(
        None, description="size of the gradient fusion buffer in MiB; default: that of the backend"
    )
    cycle_ms: float = Field(Exchange.cycle_ms, description="cycle time of Horovod in ms")
    deadline: float | None = Field(
        None, description="Unix time at which the training saves its state and ends with status 75"
    )
    checkpoint_seconds: float = Field(60.0, description="interval between saved states in seconds")
    keep_state: bool = Field(False, description="keep the final state for a training that continues this one")
    tensorboard: Path | None = Field(None, description="folder for TensorBoard event files")
    kind: str = Field("any", description="kind of node, for run.json")
