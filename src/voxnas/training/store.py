"""The store: what has been trained, by the digest of everything that determines it.

An entry ``store/<digest>/`` holds the job, the lease of whoever trains it, the resumable state, and
in the end ``outcome.json`` (written last), ``curve.tsv``, ``weights.safetensors`` and ``run.json``.
So a result that is lost costs no training, and nothing is trained twice at once. Imports no torch:
a stored result is returned in the time that Python takes to start.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxnas.core.canonical import digest
from voxnas.core.host import boot_id, process_identity
from voxnas.core.trial import TrainingJob
from voxnas.io import slurm
from voxnas.io.records import read_json, write_json

POLL_SECONDS = 0.5
SLOW_POLL_SECONDS = 5.0
BEAT_SECONDS = 10.0
STALE_SECONDS = 120.0


def store_digest(job: TrainingJob, spec: dict[str, Any], data: str) -> str:
    """Name of a training in the store.

    Parameters
    ----------
    job : TrainingJob
    spec : dict
        The train spec. The study's root seed is left out: the job has its own.
    data : str
        Digest of the data (:func:`voxnas.data.digest.data_digest`).
    """
    science = {name: value for name, value in spec.items() if name != "seed"}
    return digest({"job": job.plain(), "spec": science, "data": data}, 16)


class Entry:
    """One training in the store.

    Parameters
    ----------
    folder : path
        ``store/<digest>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.job = folder / "job.json"
        self.outcome = folder / "outcome.json"
        self.curve = folder / "curve.tsv"
        self.weights = folder / "weights.safetensors"
        self.run = folder / "run.json"
        self.stop = folder / "stop"
        self.ended = folder / "ended.json"
        self.heartbeat = folder / "heartbeat"
        self.progress = folder / "progress.json"
        self._lease = folder / "lease.json"
        self._starved = folder / "starved.json"

    def finished(self) -> dict[str, Any] | None:
        """The outcome of a finished training; None if there is none, or if its weights are damaged."""
        if not self.outcome.exists():
            return None
        outcome = read_json(self.outcome)
        wanted = outcome["weights_sha256"]
        if wanted and (not self.weights.exists() or _sha256(self.weights) != wanted):
            return None
        return outcome

    def finish(self, outcome: dict[str, Any]) -> None:
        """Record the outcome, which makes the training a finished one."""
        weights = _sha256(self.weights) if self.weights.exists() else ""
        write_json(self.outcome, {**outcome, "weights_sha256": weights})

    @contextmanager
    def lease(self, give_up: Callable[[], bool], log: Callable[[str], None]) -> Iterator[bool]:
        """Hold the right to train this entry.

        A lease whose processes are all dead is taken over; one of another host when it has not
        beaten for two minutes, or for half a minute and its Slurm job is over. A live one is waited for.

        Parameters
        ----------
        give_up : callable
            Asked while waiting; True ends the wait.
        log : callable
            Told once who is waited for.

        Yields
        ------
        bool
            False if the wait was given up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        told, pause = False, POLL_SECONDS
        while not self._take():
            if not told:
                log(f"waiting for the process that trains {self.name}: {self._lease.read_text().strip()}")
                told = True
            if give_up():
                yield False
                return
            time.sleep(pause)
            pause = min(pause * 1.2, SLOW_POLL_SECONDS)
        try:
            yield True
        finally:
            self._lease.unlink(missing_ok=True)

    def settled(self) -> bool:
        """Whether the parent of a finished training lived to write its record and to give its lease back."""
        return self.run.exists() and not self._lease.exists()

    def _take(self) -> bool:
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = _read_lease(self._lease)
            if record is not None:
                if _alive(self._lease, record):
                    return False
                job = record.get("slurm_job", "")
                if job and slurm.state_of(job) == "OUT_OF_MEMORY":
                    self.starve(job)
            self.extend()
            return True

    def starved(self) -> list[str]:
        """Slurm jobs that were killed for want of memory while they trained this."""
        return read_json(self._starved) if self._starved.exists() else []

    def starve(self, job: str) -> None:
        """Note such a job."""
        write_json(self._starved, sorted({*self.starved(), job}))

    def extend(self, child: int | None = None) -> None:
        """Write the lease: this process, and the child that trains, which may outlive it."""
        processes = [process_identity(pid) for pid in (os.getpid(), child) if pid is not None]
        job, restarts = slurm.own_job() or ("", 0)
        where = {"host": socket.gethostname(), "boot": boot_id(), "slurm_job": job, "slurm_restarts": restarts}
        write_json(self._lease, {**where, "processes": processes})

    def beat(self) -> None:
        """Tell other hosts that the lease is alive."""
        os.utime(self._lease)


@dataclass(frozen=True)
class Holders:
    """Who holds leases in a store.

    Parameters
    ----------
    processes : list of int
        Ids of living processes of this host.
    hosts : dict
        Other hosts whose lease beats, each with the Slurm job that it is in (empty for none).
    """

    processes: list[int]
    hosts: dict[str, str]


def lease_holders(store: Path) -> Holders:
    """Find who holds a living lease in a store."""
    processes, hosts = set(), {}
    for lease in sorted(store.glob("*/lease.json")):
        record = _read_lease(lease)
        if record is None or not _alive(lease, record):
            continue
        if record["host"] == socket.gethostname():
            processes |= set(living_processes(record))
        else:
            hosts[record["host"]] = record.get("slurm_job", "")
    return Holders(sorted(processes), hosts)


def _read_lease(lease: Path) -> dict[str, Any] | None:
    """The record of a lease; None if its holder has given it back meanwhile."""
    return read_json(lease) if lease.exists() else None


def living_processes(record: Mapping[str, Any]) -> list[int]:
    """Ids of the processes of a lease of this host that live; none after the machine was started anew."""
    if record["boot"] != boot_id():
        return []
    return [process["pid"] for process in record["processes"] if process_identity(process["pid"]) == process]


def _alive(lease: Path, record: dict[str, Any]) -> bool:
    if record["host"] == socket.gethostname():
        return bool(living_processes(record))
    try:
        silent = time.time() - lease.stat().st_mtime
    except FileNotFoundError:
        return False
    if silent < 3 * BEAT_SECONDS or silent > STALE_SECONDS:
        return silent < STALE_SECONDS
    # Three beats are missing. Where Slurm knows that the job is over, or has started it again, nobody waits longer.
    job = record.get("slurm_job", "")
    return not (job and (_started_again(job, record["slurm_restarts"]) or slurm.has_ended(job)))


def _started_again(job: str, restarts: int) -> bool:
    """Whether this process is in a later start of a job."""
    own = slurm.own_job()
    return own is not None and own[0] == job and own[1] > restarts


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
