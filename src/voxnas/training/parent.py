"""The parent process of a training: store, lease, worker processes, and their end. Imports no torch."""

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
from typing import Any

from voxnas import __version__
from voxnas.core.host import processor_name
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import TrainSpec
from voxnas.core.training import Training
from voxnas.data.digest import data_digest
from voxnas.io import slurm
from voxnas.io.records import read_json, read_record, write_json
from voxnas.training import failures
from voxnas.training.distributed.launch import launch_command
from voxnas.training.lease import BEAT_SECONDS
from voxnas.training.run_options import RunOptions
from voxnas.training.store import Entry, store_digest

GRACE_SECONDS = 60.0
STALL_SECONDS = 900.0


@dataclass(frozen=True)
class Trained:
    """A training with an outcome.

    Parameters
    ----------
    outcome : dict
        State, and if known the reason, score, metrics and samples.
    entry : Entry or None
        Entry in the store; None for a training that failed.
    reused : bool
        Whether the store had the training already.
    """

    outcome: dict[str, Any]
    entry: Entry | None = None
    reused: bool = False


def train(paths: StudyPaths, job: Training, options: RunOptions, log: Callable[[str], None]) -> Trained:
    """Train, or find the training in the store.

    A killed worker is started again and continues from its last state. A Slurm job that is interrupted by its deadline
    or SIGUSR1 is requeued.

    Parameters
    ----------
    paths : StudyPaths
    job : Training
    options : RunOptions
    log : callable
        Receives messages for the user.

    Raises
    ------
    NoResult
        ``Interrupted`` at the deadline, or on SIGTERM, SIGINT or SIGUSR1; otherwise if the worker ended by an error, or
        if it was killed and another job may have enough memory (:mod:`voxnas.training.failures`).
    UserError
        If a worker cannot run with the settings.
    """
    spec = read_record(paths.spec("train"), TrainSpec)
    entry = Entry(paths.store / store_digest(job, spec, data_digest(paths)))
    outcome = entry.finished()
    if outcome is not None and entry.settled():
        return Trained(outcome, entry, reused=True)
    received: list[int] = []
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
    before = [signal.signal(number, lambda got, _: received.append(got)) for number in numbers]
    deadline = options.deadline or math.inf
    try:
        with entry.lease.hold(lambda: bool(received) or time.time() > deadline, log) as held:
            if not held:
                raise failures.Interrupted
            return _train(paths, entry, job, options, received, spec.training.threads, log)
    except failures.Failed as failure:
        return Trained({"state": "FAILED", "reason": str(failure)})
    except failures.Interrupted:
        if signal.SIGTERM not in received and signal.SIGINT not in received and slurm.requeue_own_job():
            log("the job is back in the queue")
        raise
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _train(
    paths: StudyPaths,
    entry: Entry,
    job: Training,
    options: RunOptions,
    received: list[int],
    threads: int,
    log: Callable[[str], None],
) -> Trained:
    """Train under the lease, unless another process has finished the training meanwhile."""
    outcome = entry.finished()
    if outcome is not None:
        if not entry.run.exists():
            _write_run(entry, options, 0.0, 0.0, read_json(entry.ended)["facts"] if entry.ended.exists() else {})
        return Trained(outcome, entry, reused=True)
    if entry.outcome.exists():
        log(f"the weights in {entry.folder} do not have their recorded digest; training again")
        entry.outcome.unlink()
    write_json(entry.job, job)
    write_json(entry.launch, options)
    failures.check_starved(len(entry.lease.starved()))
    for kill in range(1, failures.KILLS + 1):
        try:
            return Trained(_run_workers(paths, entry, options, received, threads), entry)
        except failures.Killed:
            log(f"a training process was killed ({kill} of {failures.KILLS} times); continuing from the last state")
    own = slurm.own_job()
    if own is not None:
        entry.lease.starve(own[0])
    raise failures.killed_again_and_again(len(entry.lease.starved()) if own else None)


def _run_workers(
    paths: StudyPaths, entry: Entry, options: RunOptions, received: list[int], threads: int
) -> dict[str, Any]:
    for mark in (entry.stop, entry.ended):
        mark.unlink(missing_ok=True)
    program = ["-m", "voxnas.training.worker", "--study", str(paths.root), "--entry", str(entry.folder)]
    command = launch_command(options.launcher, options.processes, program, options.nodes, threads)
    count = str(threads)
    environment = {**os.environ, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "PYTHONUNBUFFERED": "1"}
    begun, before = time.monotonic(), _children_seconds()
    entry.heartbeat.touch()
    # A separate session allows ending all processes of a launcher as one group.
    process = subprocess.Popen(command, env=environment, start_new_session=True, preexec_fn=_end_with_parent)
    entry.lease.extend(process.pid)
    status = _wait(process, entry, options, received)
    end: dict[str, Any] = read_json(entry.ended) if entry.ended.exists() else {"how": "killed", "facts": {}}
    _write_run(entry, options, time.monotonic() - begun, _children_seconds() - before, end["facts"])
    outcome = entry.finished()
    if outcome is None:
        raise failures.failure_of(end, status, options.launcher != "single", bool(received))
    return outcome


def _wait(process: subprocess.Popen[bytes], entry: Entry, options: RunOptions, received: list[int]) -> int:
    """Wait for the workers, forward a signal by the stop file, and end a stalled group."""
    beaten, told = time.monotonic(), math.inf
    while True:
        try:
            return process.wait(timeout=0.2)
        except subprocess.TimeoutExpired:
            now = time.monotonic()
        if received and told == math.inf:
            entry.stop.touch()
            told = now
        # Horovod's own check for stalls does not work with gloo.
        stalled = options.processes > 1 and time.time() - entry.heartbeat.stat().st_mtime > STALL_SECONDS
        if stalled or now - told > GRACE_SECONDS:
            os.killpg(process.pid, signal.SIGKILL)
            return process.wait()
        if now - beaten > BEAT_SECONDS:
            entry.lease.beat()
            beaten = now


def _end_with_parent() -> None:
    """In the child: request SIGTERM at the death of the parent, also by SIGKILL (Linux), to leave no orphan."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)


def _children_seconds() -> float:
    """CPU seconds of all ended child processes."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


def _peak_mib() -> int:
    """Largest resident memory of an ended child process."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def _write_run(entry: Entry, options: RunOptions, wall: float, cpu: float, facts: dict[str, Any]) -> None:
    """Write the facts that may differ between equal trainings; times accumulate over interruptions."""
    old = read_json(entry.run) if entry.run.exists() else {}
    write_json(
        entry.run,
        {
            "host": socket.gethostname(),
            "kind": options.kind,
            "device": processor_name(),
            **facts,
            "versions": {"python": platform.python_version(), "voxnas": __version__, **facts.get("versions", {})},
            "launcher": options.launcher,
            "processes": options.processes,
            "nodes": options.nodes,
            "launches": old.get("launches", 0) + 1,
            "wall_seconds": round(old.get("wall_seconds", 0.0) + wall, 3),
            "cpu_seconds": round(old.get("cpu_seconds", 0.0) + cpu, 3),
            "peak_rss_mib": max(old.get("peak_rss_mib", 0), _peak_mib()),
        },
    )
