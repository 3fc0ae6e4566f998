"""The lease of a training, which prevents two processes from computing it at once. Imports no torch."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voxnas.core.host import boot_id, process_identity
from voxnas.io import slurm
from voxnas.io.records import read_json, write_json

POLL_SECONDS = 0.5
SLOW_POLL_SECONDS = 5.0
BEAT_SECONDS = 10.0
STALE_SECONDS = 120.0


class Lease:
    """The right to train one entry of the store.

    Parameters
    ----------
    folder : path
        ``store/<digest>``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "lease.json"
        self._starved = folder / "starved.json"

    @contextmanager
    def hold(self, give_up: Callable[[], bool], log: Callable[[str], None]) -> Iterator[bool]:
        """Wait for the lease and hold it.

        A lease is taken over if all its processes are dead. A lease of another host is taken over if it has sent no
        heartbeat for two minutes, or for half a minute after the end of its Slurm job.

        Parameters
        ----------
        give_up : callable
            Called while waiting; True ends the wait.
        log : callable
            Receives one message that names the holder.

        Yields
        ------
        bool
            False if the wait was given up.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        told, pause = False, POLL_SECONDS
        while not self._take():
            if not told:
                log(f"waiting for the process that trains {self.folder.name}: {self.path.read_text().strip()}")
                told = True
            if give_up():
                yield False
                return
            time.sleep(pause)
            pause = min(pause * 1.2, SLOW_POLL_SECONDS)
        try:
            yield True
        finally:
            self.path.unlink(missing_ok=True)

    def _take(self) -> bool:
        with open(self.folder / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            record = _read(self.path)
            if record is not None:
                if _alive(self.path, record):
                    return False
                job = record.get("slurm_job", "")
                if job and slurm.state_of(job) == "OUT_OF_MEMORY":
                    self.starve(job)
            self.extend()
            return True

    def starved(self) -> list[str]:
        """Slurm jobs that ran out of memory while they held the lease."""
        return read_json(self._starved) if self._starved.exists() else []

    def starve(self, job: str) -> None:
        """Record a Slurm `job` that ran out of memory."""
        write_json(self._starved, sorted({*self.starved(), job}))

    def extend(self, child: int | None = None) -> None:
        """Write the lease of this process and of the `child` that trains, which may outlive it."""
        processes = [process_identity(pid) for pid in (os.getpid(), child) if pid is not None]
        job, restarts = slurm.own_job() or ("", 0)
        where = {"host": socket.gethostname(), "boot": boot_id(), "slurm_job": job, "slurm_restarts": restarts}
        write_json(self.path, {**where, "processes": processes})

    def beat(self) -> None:
        """Send a heartbeat to other hosts."""
        os.utime(self.path)


@dataclass(frozen=True)
class Holders:
    """Holders of the leases in a store.

    Parameters
    ----------
    processes : list of int
        Identifiers of living processes of this host.
    hosts : dict
        Other hosts with a living lease, each with its Slurm job (empty for none).
    """

    processes: list[int]
    hosts: dict[str, str]


def lease_holders(store: Path) -> Holders:
    """Find the holders of living leases in a `store`."""
    processes, hosts = set(), {}
    for path in sorted(store.glob("*/lease.json")):
        record = _read(path)
        if record is None or not _alive(path, record):
            continue
        if record["host"] == socket.gethostname():
            processes |= set(living_processes(record))
        else:
            hosts[record["host"]] = record.get("slurm_job", "")
    return Holders(sorted(processes), hosts)


def living_processes(record: Mapping[str, Any]) -> list[int]:
    """Identifiers of the living processes in the `record` of a lease of this host; empty after a reboot."""
    if record["boot"] != boot_id():
        return []
    return [process["pid"] for process in record["processes"] if process_identity(process["pid"]) == process]


def _read(path: Path) -> dict[str, Any] | None:
    """Read the record of a lease; None if its holder has released it."""
    return read_json(path) if path.exists() else None


def _alive(path: Path, record: dict[str, Any]) -> bool:
    if record["host"] == socket.gethostname():
        return bool(living_processes(record))
    try:
        silent = time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return False
    if silent < 3 * BEAT_SECONDS or silent > STALE_SECONDS:
        return silent < STALE_SECONDS
    # Three heartbeats are missing. A job that has ended or restarted according to Slurm is not waited for.
    job = record.get("slurm_job", "")
    return not (job and (_started_again(job, record["slurm_restarts"]) or slurm.has_ended(job)))


def _started_again(job: str, restarts: int) -> bool:
    """Whether this process belongs to a later start of a job."""
    own = slurm.own_job()
    return own is not None and own[0] == job and own[1] > restarts
