"""The trainings of a study that run now, found by their leases in the store."""

from __future__ import annotations

import socket
import time
from typing import Any

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.training import Training
from voxnas.core.trial import Network, Proposal
from voxnas.operate.reader import Reader, as_number
from voxnas.operate.snapshot import Running
from voxnas.training.jobs import network_job, proposal_job
from voxnas.training.lease import STALE_SECONDS, living_processes
from voxnas.training.store import Entry

# Identifies a training: the name of its search and the number of its step, or the key of its network and its seed.
Place = tuple[str, int]


class LeasedTrainings:
    """The trainings with a lease.

    Parameters
    ----------
    paths : StudyPaths
    reader : Reader
    """

    def __init__(self, paths: StudyPaths, reader: Reader) -> None:
        self._paths, self._reader = paths, reader
        self._jobs: dict[Place, dict[str, Any]] = {}

    def find(self, networks: dict[str, Network], finals_left: set[Place]) -> tuple[list[Running], set[Place]]:
        """List the trainings with a lease, living ones first.

        Parameters
        ----------
        networks : dict of str to Network
            Finalists and baselines by key.
        finals_left : set of Place
            Final trainings without a result.

        Returns
        -------
        running : list of Running
        held : set of Place
            Places of the living trainings.
        """
        read = self._reader
        entries = [Entry(self._paths.store / name) for name in read.names(self._paths.store)]
        leased = [(entry, lease) for entry in entries if (lease := read.plain(entry.lease.path))]
        wanted = self._wanted(networks, finals_left) if leased else {}
        found, held = [], set()
        for entry, lease in leased:
            job, progress = read.plain(entry.job), read.plain(entry.progress)
            places = [place for place, plain in wanted.items() if plain == job]
            # The parent's heartbeat shows that the lease holds, the worker's that the training proceeds.
            beats = [beat for beat in map(read.see, (entry.lease.path, entry.heartbeat)) if beat]
            if not beats:
                continue  # the training has ended since its lease was read
            pids = _pids(lease)
            host = str(lease.get("host", ""))
            alive = time.time() - beats[0] < STALE_SECONDS and (host != socket.gethostname() or _lives(lease))
            held |= set(places) if alive else set()
            found.append(
                Running(
                    name=", ".join(_title(place, networks) for place in places) or f"training {entry.name}",
                    host=host,
                    pid=pids[-1] if pids else None,
                    samples=int(as_number(progress.get("samples"))),
                    goal=int(as_number(job.get("samples"))),
                    score=as_number(progress["score"]) if progress.get("score") is not None else None,
                    rate=as_number(progress.get("rate")) or None,
                    silent=max(0.0, time.time() - (min(beats) if alive else max(beats))),
                    alive=alive,
                )
            )
        return sorted(found, key=lambda r: (not r.alive, r.name)), held

    def _wanted(self, networks: dict[str, Network], finals_left: set[Place]) -> dict[Place, dict[str, Any]]:
        """Jobs of all trainings without a result, as a store entry records them."""
        searches = self._paths.root / "search"
        steps = {
            (search, step)
            for search in self._reader.names(searches)
            for step in self._reader.numbers(searches / search / "steps")
            if not (self._paths.step(search, step) / "result.json").exists()
        }
        places = steps | finals_left
        for place in places - self._jobs.keys():
            try:
                job = self._job(place, networks)
            except (UserError, OSError, KeyError, TypeError, ValueError):
                continue  # a record that defines the job is missing or unreadable
            if job is not None:
                self._jobs[place] = job.plain()
        return {place: self._jobs[place] for place in sorted(places & self._jobs.keys())}

    def _job(self, place: Place, networks: dict[str, Network]) -> Training | None:
        name, number = place
        if name in networks:
            return network_job(self._paths, networks[name], number)
        proposal = self._reader.record(self._paths.step(name, number) / "proposal.json", Proposal)
        return None if proposal is None or proposal.architecture is None else proposal_job(self._paths, proposal)


def _title(place: Place, networks: dict[str, Network]) -> str:
    name, number = place
    return f"{networks[name].name}, seed {number}" if name in networks else f"{name} {number}"


def _pids(lease: dict[str, Any]) -> list[int]:
    """Process ids of a lease: the parent, then the process that trains."""
    processes = lease.get("processes")
    found = [p.get("pid") for p in processes if isinstance(p, dict)] if isinstance(processes, list) else []
    return [pid for pid in found if isinstance(pid, int)]


def _lives(lease: dict[str, Any]) -> bool:
    try:
        return bool(living_processes(lease))
    except (KeyError, TypeError):
        return False  # the record is damaged
