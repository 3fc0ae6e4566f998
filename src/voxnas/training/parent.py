"""The parent of a training: store, lease, worker processes, and what becomes of them. Imports no torch."""

from __future__ import annotations

import ctypes
import math
import os
import platform
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxnas import __version__
from voxnas.core.errors import UserError
from voxnas.core.host import processor_name
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import TrainingJob
from voxnas.data.digest import data_digest
from voxnas.io import slurm
from voxnas.io.records import read_json, write_json
from voxnas.training.distributed.exchange import Exchange
from voxnas.training.distributed.launch import launch_command
from voxnas.training.store import BEAT_SECONDS, Entry, store_digest

GRACE_SECONDS = 60.0
STALL_SECONDS = 900.0
# A worker that is killed so often is killed for what it does, most likely for want of memory. As many jobs of Slurm's
# may be killed for it, each of which has more.
KILLS = 3


@dataclass(frozen=True)
class Launch:
    """How to run a training; none of it belongs to the result's identity.

    Parameters
    ----------
    launcher : str
        ``single``, ``horovod`` or ``ddp``, with `processes` processes.
    deadline : float or None
        Seconds from now after which the state is saved and the training interrupted.
    checkpoint_seconds : float
        Time between two saved states.
    keep_state : bool
        Keep the final state in the store, for a training that continues this one.
    nodes : int
        Nodes of the Slurm allocation over which the processes are spread.
    micro_batch : int
        Most samples that a process computes at once; 0: its whole share of a batch.
    shares : str
        ``equal``, or ``measured``: in proportion to what each process computes in a second.
    fusion_mb : float or None
        MiB of gradients that travel together; None: as the backend has it.
    cycle_ms : float
        Time between two looks of Horovod's for gradients that are ready.
    events : path or None
        Folder for TensorBoard's event files.
    kind : str
        Kind of node that was chosen for it, for the record.
    """

    launcher: str = "single"
    processes: int = 1
    deadline: float | None = None
    checkpoint_seconds: float = 60.0
    keep_state: bool = False
    nodes: int = 1
    micro_batch: int = 0
    shares: str = "equal"
    fusion_mb: float | None = None
    cycle_ms: float = Exchange.cycle_ms
    events: Path | None = None
    kind: str = "any"


class Interrupted(Exception):
    """The training saved its state and is to be started again."""


class WorkerCrashed(Exception):
    """A worker ended by an error of its own; its traceback is in the log."""


class WorkerKilled(Exception):
    """A worker ran out of memory, or was killed from outside again and again, most likely for that."""


class _KilledOnce(Exception):
    """A worker was killed from outside."""


def train(paths: StudyPaths, job: TrainingJob, launch: Launch, log: Callable[[str], None]) -> tuple[Entry, bool]:
    """Train a job, or find it in the store.

    A worker that is killed is started again and goes on from its last state. A job of Slurm's that is
    interrupted by its deadline or SIGUSR1 is put back into the queue.

    Returns
    -------
    entry : Entry
        Finished.
    reused : bool
        Whether it was in the store already.

    Raises
    ------
    Interrupted
        At the deadline, or on SIGTERM, SIGINT or SIGUSR1.
    UserError
        If a worker cannot do what the settings ask.
    WorkerCrashed
        If the worker ended otherwise, or was killed and another job may have the memory for it.
    WorkerKilled
        If the memory does not do, also not after three jobs of Slurm's.
    """
    spec: dict[str, Any] = read_json(paths.spec("train"))
    entry = Entry(paths.store / store_digest(job, spec, data_digest(paths)))
    if entry.finished() is not None and entry.settled():
        return entry, True
    deadline = math.inf if launch.deadline is None else time.time() + launch.deadline
    received: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.signal(number, lambda got, _: received.append(got)) for number in numbers]

    def give_up() -> bool:
        return bool(received) or time.time() > deadline

    try:
        with entry.lease(give_up, log) as held:
            if not held:
                raise Interrupted
            if entry.finished() is not None:
                if not entry.run.exists():
                    _write_run(entry, launch, 0.0, read_json(entry.ended)["facts"] if entry.ended.exists() else {})
                return entry, True
            if entry.outcome.exists():
                log(f"the weights in {entry.folder} do not have their recorded digest; training again")
                entry.outcome.unlink()
            write_json(entry.job, job)
            if len(entry.starved()) >= KILLS:
                raise WorkerKilled(f"out of memory in each of {KILLS} jobs")
            for kill in range(1, KILLS + 1):
                try:
                    _run_workers(paths, entry, launch, deadline, received, spec["training"]["threads"])
                    return entry, False
                except _KilledOnce:
                    log(f"a training process was killed ({kill} of {KILLS} times); going on from the last state")
            own = slurm.own_job()
            if own is not None:
                entry.starve(own[0])
                if len(entry.starved()) < KILLS:  # the next attempt at this job has more memory
                    raise WorkerCrashed("the training process was killed again and again, probably out of memory")
            raise WorkerKilled("killed, probably out of memory")
    except Interrupted:
        if signal.SIGTERM not in received and signal.SIGINT not in received and slurm.requeue_own_job():
            log("the job is back in the queue")
        raise
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _run_workers(
    paths: StudyPaths, entry: Entry, launch: Launch, deadline: float, received: list[int], threads: int
) -> None:
    for mark in (entry.stop, entry.ended):
        mark.unlink(missing_ok=True)
    program = [
        "-m",
        "voxnas.training.worker",
        "--study",
        str(paths.root),
        "--entry",
        str(entry.folder),
        "--launcher",
        launch.launcher,
    ]
    program += ["--deadline", str(deadline), "--checkpoint-seconds", str(launch.checkpoint_seconds)]
    program += ["--nodes", str(launch.nodes), "--micro-batch", str(launch.micro_batch), "--shares", launch.shares]
    program += ["--cycle-ms", str(launch.cycle_ms)]
    program += ["--fusion-mb", str(launch.fusion_mb)] if launch.fusion_mb is not None else []
    program += ["--keep-state"] if launch.keep_state else []
    program += ["--events", str(launch.events)] if launch.events else []
    command = launch_command(launch.launcher, launch.processes, program, launch.nodes, threads)
    count = str(threads)
    environment = {**os.environ, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "PYTHONUNBUFFERED": "1"}
    begun = time.monotonic()
    entry.heartbeat.touch()
    # A session of its own, so that all of a launcher's processes can be ended as one group.
    process = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_end_with_parent)
    entry.extend(process.pid)
    status = _wait(process, entry, launch, received)
    end: dict[str, Any] = read_json(entry.ended) if entry.ended.exists() else {"how": "killed", "facts": {}}
    _write_run(entry, launch, time.monotonic() - begun, end["facts"])
    if entry.finished() is not None:
        return
    if end["how"] == "interrupted" or (received and end["how"] == "killed"):
        raise Interrupted
    if end["how"] == "user":
        raise UserError(end["what"], end["remedy"])
    if end["how"] == "memory":
        raise WorkerKilled("out of memory")
    # Under a launcher a killed process shows only by what the others say, or by nobody saying anything.
    group = launch.launcher != "single"
    if end["how"] == "lost" or (end["how"] == "killed" and (group or status == -signal.SIGKILL)):
        raise _KilledOnce
    raise WorkerCrashed(f"the training process ended with status {status}")


def _wait(process: subprocess.Popen[bytes], entry: Entry, launch: Launch, received: list[int]) -> int:
    """Wait for the workers, pass a signal on through the stop file, and end a group that hangs."""
    beaten, told = time.monotonic(), math.inf
    while True:
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if received and told == math.inf:
            entry.stop.touch()
            told = now
        # Horovod's own check for a stall does not fire over gloo.
        stalled = launch.processes > 1 and time.time() - entry.heartbeat.stat().st_mtime > STALL_SECONDS
        if stalled or now - told > GRACE_SECONDS:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()
        if now - beaten > BEAT_SECONDS:
            entry.beat()
            beaten = now


def _end_with_parent() -> None:
    """In the child: get SIGTERM when the parent dies, also by SIGKILL (Linux), so that no orphan trains on."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def _write_run(entry: Entry, launch: Launch, wall: float, facts: dict[str, Any]) -> None:
    """What may differ between equal trainings; times add up over interruptions."""
    old = read_json(entry.run) if entry.run.exists() else {}
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    write_json(
        entry.run,
        {
            "host": socket.gethostname(),
            "kind": launch.kind,
            "device": processor_name(),
            **facts,
            "versions": {"python": platform.python_version(), "voxnas": __version__, **facts.get("versions", {})},
            "launcher": launch.launcher,
            "processes": launch.processes,
            "nodes": launch.nodes,
            "launches": old.get("launches", 0) + 1,
            "wall_seconds": round(old.get("wall_seconds", 0.0) + wall, 3),
            "cpu_seconds": round(old.get("cpu_seconds", 0.0) + children.ru_utime + children.ru_stime, 3),
            "peak_rss_mib": max(old.get("peak_rss_mib", 0), children.ru_maxrss // 1024),
        },
    )
