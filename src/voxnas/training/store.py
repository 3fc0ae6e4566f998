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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from voxnas.core.canonical import digest
from voxnas.core.trial import TrainingJob
from voxnas.io.records import read_json, write_json

POLL_SECONDS = 0.5
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
        self._lease = folder / "lease.json"

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
        beaten for two minutes. A live one is waited for.

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
        told = False
        while not self._take():
            if not told:
                log(f"waiting for the process that trains {self.name}: {self._lease.read_text().strip()}")
                told = True
            if give_up():
                yield False
                return
            time.sleep(POLL_SECONDS)
        try:
            yield True
        finally:
            self._lease.unlink(missing_ok=True)

    def _take(self) -> bool:
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if self._lease.exists() and _alive(self._lease):
                return False
            self.extend()
            return True

    def extend(self, child: int | None = None) -> None:
        """Write the lease: this process, and the child that trains, which may outlive it."""
        processes = [_identity(pid) for pid in (os.getpid(), child) if pid is not None]
        write_json(self._lease, {"host": socket.gethostname(), "boot": _boot_id(), "processes": processes})

    def beat(self) -> None:
        """Tell other hosts that the lease is alive."""
        os.utime(self._lease)


def lease_holders(store: Path) -> tuple[list[int], list[str]]:
    """Who holds a lease in a store: ids of living processes of this host, and other hosts that beat."""
    processes, hosts = set(), set()
    for lease in sorted(store.glob("*/lease.json")):
        if not _alive(lease):
            continue
        record = read_json(lease)
        if record["host"] == socket.gethostname():
            processes |= {p["pid"] for p in record["processes"] if _identity(p["pid"]) == p}
        else:
            hosts.add(record["host"])
    return sorted(processes), sorted(hosts)


def _alive(lease: Path) -> bool:
    record = read_json(lease)
    if record["host"] != socket.gethostname():
        return time.time() - lease.stat().st_mtime < STALE_SECONDS
    same_boot = record["boot"] == _boot_id()
    return same_boot and any(_identity(process["pid"]) == process for process in record["processes"])


def _identity(pid: int) -> dict[str, Any]:
    """A process as its id and start time in clock ticks; 0 for a dead one, so that it equals no lease."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie has ended; only its parent has not noticed.
        return {"pid": pid, "start": 0 if fields[0] == "Z" else int(fields[19])}
    except OSError:
        return {"pid": pid, "start": 0}


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
