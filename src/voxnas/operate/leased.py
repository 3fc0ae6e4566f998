"""The trainings of a study that run now, told from their leases in the store."""

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

# A training by the name of its search and the number of its step, or by the key of its network and its seed.
Place = tuple[str, int]


class LeasedTrainings:
    """The trainings of which somebody holds a lease.

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
            The networks that left the searches, by key.
        finals_left : set of Place
            Trainings at full budget without a result.

        Returns
        -------
        running : list of Running
        held : set of Place
            Places of the living trainings.
        """
        read = self._reader
        leased = []
        for name in read.names(self._paths.store):
            entry = Entry(self._paths.store / name)
            lease = read.plain(entry.lease.path)
            if lease:
                leased.append((entry, lease))
        wanted = self._wanted(networks, finals_left) if leased else {}
        found, held = [], set()
        for entry, lease in leased:
            job, progress = read.plain(entry.job), read.plain(entry.progress)
            places = [place for place, plain in wanted.items() if plain == job]
            # The parent's beat says that the lease holds, the worker's that the training goes on.
            beats = [beat for beat in map(read.see, (entry.lease.path, entry.heartbeat)) if beat]
            if not beats:
                continue  # it ended while we looked
            pids = _pids(lease)
            host = str(lease.get("host", ""))
            alive = time.time() - beats[0] < STALE_SECONDS and (host != socket.gethostname() or _lives(lease))
            held |= set(places) if alive else set()
            found.append(
                Running(
                    what=", ".join(_title(place, networks) for place in places) or f"training {entry.name}",
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
        return sorted(found, key=lambda r: (not r.alive, r.what)), held

    def _wanted(self, networks: dict[str, Network], finals_left: set[Place]) -> dict[Place, dict[str, Any]]:
        """The jobs of all trainings without a result, as a store entry records them."""
        places: list[Place] = []
        for search in self._reader.names(self._paths.root / "search"):
            for step in self._reader.numbers(self._paths.root / "search" / search / "steps"):
                if not (self._paths.step(search, step) / "result.json").exists():
                    places.append((search, step))
        wanted = {}
        for place in [*places, *finals_left]:
            job = self._jobs.get(place)
            if job is None:
                try:
                    made = self._job(place, networks)
                except (UserError, OSError, KeyError, TypeError, ValueError):
                    continue  # what it is made from is not there, or not readable
                if made is None:
                    continue
                job = self._jobs[place] = made.plain()
            wanted[place] = job
        return wanted

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
    """Processes of a lease: the parent, then the one that trains."""
    processes = lease.get("processes")
    found = [p.get("pid") for p in processes if isinstance(p, dict)] if isinstance(processes, list) else []
    return [pid for pid in found if isinstance(pid, int)]


def _lives(lease: dict[str, Any]) -> bool:
    try:
        return bool(living_processes(lease))
    except (KeyError, TypeError):
        return False  # the record is damaged
