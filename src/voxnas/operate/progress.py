"""How far a study is, told from its files alone.

Only reads, so that it may look on from another host while jobs run, and asks neither Slurm nor Snakemake.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from voxnas.arch.baselines import BASELINES
from voxnas.arch.study_outline import baseline_names, final_networks, has_spatial_steps, searches_of
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import StudySettings
from voxnas.core.training import Training
from voxnas.core.trial import LINEAR, Network, Proposal, Result
from voxnas.operate.job_logs import Job, JobLogs
from voxnas.operate.rates import Rates, Trained
from voxnas.operate.reader import Reader
from voxnas.search.chain import Chain
from voxnas.search.select import BASELINE, ranked
from voxnas.training.jobs import network_job, proposal_job
from voxnas.training.lease import STALE_SECONDS, living_processes
from voxnas.training.store import Entry

QUIET_SECONDS = 90.0  # a training beats every 10 s; of other jobs the logs tell

# A training by the search and step that it is of, or by the network's key and the seed.
Place = tuple[str, int]


@dataclass(frozen=True)
class Running:
    """A training that somebody holds a lease of."""

    what: str
    """Such as ``bayesian 3`` or ``nnunet, seed 1``."""
    host: str
    pid: int | None
    samples: int
    goal: int
    score: float | None
    """Of the last validation."""
    rate: float | None
    """Samples a second since this launch began."""
    silent: float
    """Seconds since the last sign of life."""
    alive: bool
    """Whether the lease holds; a stale one is of a training that was killed."""

    @property
    def seconds_left(self) -> float | None:
        """Until its samples are reached, at its rate so far."""
        return (self.goal - self.samples) / self.rate if self.rate else None


@dataclass(frozen=True)
class Best:
    """The trial of a search that would be selected now."""

    trial: str
    score: float
    parameters: int
    macs: int
    config: dict[str, Any]


@dataclass
class Search:
    """Where one search is; `steps` is None where no file says how many there will be."""

    name: str
    steps: int | None
    done: int = 0
    failed: int = 0
    running: int = 0
    queued: int = 0
    best: Best | None = None


class Failure(NamedTuple):
    """What failed, why, and where its log is, if that says more."""

    what: str
    reason: str
    log: Path | None


@dataclass(frozen=True)
class Stage:
    """One line of the overview: ``done``, ``running``, ``failed`` or ``waiting``, and what there is to say."""

    name: str
    state: str
    note: str = ""


@dataclass(frozen=True)
class Cost:
    """What the trainings took, and what those to come are expected to take, in CPU seconds."""

    spent: float
    finished: int
    """Trainings in the store that were trained to their end."""
    left: float | None
    """None where nothing tells it yet."""
    to_come: int
    """Trainings without a result, the running ones among them."""
    at_once: int
    wall: float | None
    """Seconds that `left` takes with as many trainings at once as run now."""


@dataclass
class Snapshot:
    """A study at one moment. A failed trial is a result that a search learns from; a failed job ends the run."""

    name: str
    state: str
    """``finished``, ``running``, ``failed`` or ``quiet``."""
    quiet: float
    """Seconds since something changed."""
    stages: list[Stage]
    searches: list[Search]
    running: list[Running]
    best: Best | None
    trials_failed: list[Failure]
    jobs_failed: list[Failure]
    cost: Cost
    unreadable: list[Path] = field(default_factory=list)


class Watcher:
    """Looks at one study, again and again.

    Parameters
    ----------
    root : path
        Folder of the study.
    """

    def __init__(self, root: Path) -> None:
        self.paths = StudyPaths(root)
        self._reader = Reader()
        self._logs = JobLogs(self.paths, self._reader)
        self._jobs: dict[Place, dict[str, Any]] = {}

    def look(self) -> Snapshot:
        """The study now."""
        read, paths = self._reader, self.paths
        read.begin()
        settings = read.record(paths.settings, StudySettings)
        networks = self._networks()
        seeds_done = self._trained_seeds()
        seeds = settings.training.seeds if settings else 1 + max((seed for _, seed in seeds_done), default=0)
        finals = {(key, seed) for key in networks for seed in range(seeds)}
        running, held = self._running(networks, finals - seeds_done)
        searches, trials_failed, trained = self._searches(settings, held)
        jobs = self._logs.unfinished(timed=settings is not None and settings.timed)
        live = [training for training in running if training.alive]
        stages = [
            *self._data_stages(settings, jobs),
            *self._search_stages(searches, jobs),
            *self._final_stages(settings, networks, finals, finals & seeds_done, held, jobs),
        ]
        quiet = max(0.0, time.time() - read.changed)
        jobs_failed = [Failure(job.what, job.error, job.log) for job in jobs if job.error]
        if all(stage.state == "done" for stage in stages) and not live:
            state = "finished"
        elif live or quiet < QUIET_SECONDS:
            state = "running"
        else:
            state = "failed" if jobs_failed else "quiet"
        trained += self._trained_networks(finals & seeds_done)
        cost = self._cost(settings, searches, Rates(trained), networks, finals - seeds_done, seeds, live)
        return Snapshot(
            name=paths.root.resolve().name,
            state=state,
            quiet=quiet,
            stages=stages,
            searches=searches,
            running=running,
            best=_best_of_all(searches),
            trials_failed=trials_failed,
            jobs_failed=jobs_failed,
            cost=cost,
            unreadable=sorted(read.unreadable),
        )

    def _steps(self, search: str) -> list[int]:
        names = self._reader.names(self.paths.root / "search" / search / "steps")
        return sorted(int(name) for name in names if name.isdecimal())

    def _networks(self) -> dict[str, Network]:
        """The networks that left the searches, by key."""
        found = self._reader.plain(self.paths.finalists).get("networks", [])
        networks: dict[str, Network] = {}
        for plain in found if isinstance(found, list) else []:
            try:
                network = Network.model_validate(plain)
            except ValidationError:
                self._reader.unreadable.add(self.paths.finalists)
                continue
            networks.setdefault(network.key, network)
        return networks

    def _trained_seeds(self) -> set[Place]:
        """Trainings at full budget that have a result."""
        found = set()
        for key in self._reader.names(self.paths.root / "networks"):
            for name in self._reader.names(self.paths.network(key)):
                seed = name.removeprefix("seed-")
                if seed.isdecimal() and (self.paths.seed(key, int(seed)) / "result.json").exists():
                    found.add((key, int(seed)))
        return found

    def _running(self, networks: dict[str, Network], finals_left: set[Place]) -> tuple[list[Running], set[Place]]:
        """Trainings with a lease, and the places that the living ones are of."""
        read = self._reader
        leased = []
        for name in read.names(self.paths.store):
            entry = Entry(self.paths.store / name)
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
                    samples=int(_number(progress.get("samples"))),
                    goal=int(_number(job.get("samples"))),
                    score=_number(progress["score"]) if progress.get("score") is not None else None,
                    rate=_number(progress.get("rate")) or None,
                    silent=max(0.0, time.time() - (min(beats) if alive else max(beats))),
                    alive=alive,
                )
            )
        return sorted(found, key=lambda r: (not r.alive, r.what)), held

    def _wanted(self, networks: dict[str, Network], finals_left: set[Place]) -> dict[Place, dict[str, Any]]:
        """The jobs of all trainings without a result, as a store entry records them."""
        places: list[Place] = []
        for search in self._reader.names(self.paths.root / "search"):
            for step in self._steps(search):
                if not (self.paths.step(search, step) / "result.json").exists():
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
            return network_job(self.paths, networks[name], number)
        proposal = self._reader.record(self.paths.step(name, number) / "proposal.json", Proposal)
        return None if proposal is None or proposal.architecture is None else proposal_job(self.paths, proposal)

    def _searches(
        self, settings: StudySettings | None, held: set[Place]
    ) -> tuple[list[Search], list[Failure], list[Trained]]:
        read = self._reader
        known: dict[str, int | None] = dict(searches_of(settings)) if settings else {}
        if not known:
            planned = read.plain(self.paths.finalists).get("searches")
            known |= planned if isinstance(planned, dict) else {}
        searches, failures, trained = [], [], []
        for name in dict.fromkeys([*known, *read.names(self.paths.root / "search")]):
            search = Search(name, known.get(name))
            pairs: list[tuple[Proposal, Result]] = []
            samples: dict[int | None, int] = {}
            for step in self._steps(name):
                folder = self.paths.step(name, step)
                proposal = read.record(folder / "proposal.json", Proposal)
                result = read.record(folder / "result.json", Result)
                if result is None:
                    search.running += (name, step) in held
                    search.queued += proposal is not None and (name, step) not in held
                    continue
                search.done += 1
                if result.state == "FAILED":
                    search.failed += 1
                    failures.append(Failure(f"{name} {step}", result.reason, None))
                if proposal is None or proposal.architecture is None or proposal.key != result.key:
                    continue
                pairs.append((proposal, result))
                # A step pays for what it adds to the trial's earlier ones.
                added = result.samples - samples.get(proposal.resume_from, 0)
                samples[step] = result.samples
                seconds = _number(read.plain(folder / "run.json").get("cpu_seconds"))
                if seconds and added > 0:
                    trained.append(Trained(name, result.key, added, seconds))
            trials = ranked(Chain(tuple(p for p, _ in pairs), tuple(r for _, r in pairs)))
            if trials and trials[0][1].score is not None:
                proposal, result = trials[0]
                what = f"{name} {proposal.step}"
                search.best = Best(what, trials[0][1].score, result.parameters, result.macs, proposal.config)
            searches.append(search)
        return searches, failures, trained

    def _trained_networks(self, done: set[Place]) -> list[Trained]:
        found = []
        for key, seed in done:
            folder = self.paths.seed(key, seed)
            result = self._reader.record(folder / "result.json", Result)
            seconds = _number(self._reader.plain(folder / "run.json").get("cpu_seconds"))
            if result is not None and result.samples and seconds:
                found.append(Trained("", key, result.samples, seconds))
        return found

    def _data_stages(self, settings: StudySettings | None, jobs: list[Job]) -> list[Stage]:
        read, paths = self._reader, self.paths
        indexed = paths.scans.exists()
        note = _many(read.lines(paths.scans), "scan") if indexed else ""
        left_out = read.lines(paths.excluded)
        index = _stage("index", indexed, jobs, f"{note}, {left_out} left out" if left_out else note)
        shards = settings.preprocess.shards if settings else None
        names = read.names(paths.preprocess / "shards")
        # A shard of runs is a folder; of one of images the record is written last.
        ready = len({name.removesuffix(".json") for name in names if name.removesuffix(".json").isdecimal()})
        note = _of(ready, shards, "shard") if ready or shards else ""
        if settings is not None and has_spatial_steps(settings):
            spatial = sum(name.isdecimal() for name in read.names(paths.preprocess / "spatial"))
            note = f"{_of(spatial, shards, 'shard')} through the spatial steps, {ready} ready"
        return [index, _stage("preprocess", bool(ready) and ready >= (shards or 1), jobs, note)]

    def _search_stages(self, searches: list[Search], jobs: list[Job]) -> list[Stage]:
        if not searches:
            return []
        steps = [search.steps for search in searches]
        total = None if None in steps else sum(number or 0 for number in steps)
        done = sum(search.done for search in searches)
        at_work = any(search.running for search in searches)
        return [_stage("search", total is not None and done >= total, jobs, _of(done, total, "step"), at_work)]

    def _final_stages(
        self,
        settings: StudySettings | None,
        networks: dict[str, Network],
        finals: set[Place],
        done: set[Place],
        held: set[Place],
        jobs: list[Job],
    ) -> list[Stage]:
        paths = self.paths
        many = len(finals) or (final_networks(settings) * settings.training.seeds if settings else None)
        note = _of(len(done), many, "training") if many else ""
        train = _stage("train", bool(finals) and done == finals, jobs, note, bool(held & finals))
        scored = sum(paths.cases(key).exists() for key in networks)
        note = _of(scored, len(networks), "network") if networks else ""
        over = train.state == "done" and scored == len(networks) and paths.leaderboard.exists()
        benchmark = _stage("benchmark", over, jobs, note)
        page = paths.root / "report.html"
        over = over and page.exists() and (paths.root / "model").exists()
        return [train, benchmark, _stage("report", over, jobs, str(page) if over else "")]

    def _cost(
        self,
        settings: StudySettings | None,
        searches: list[Search],
        rates: Rates,
        networks: dict[str, Network],
        finals_left: set[Place],
        seeds: int,
        live: list[Running],
    ) -> Cost:
        """What was spent is in the store, with what interrupted trainings took; what is left see :class:`Rates`."""
        spent, wall, finished = 0.0, 0.0, 0
        for name in self._reader.names(self.paths.store):
            run = self._reader.plain(self.paths.store / name / "run.json")
            spent += _number(run.get("cpu_seconds"))
            wall += _number(run.get("wall_seconds"))
            finished += (self.paths.store / name / "outcome.json").exists()
        left: list[float | None] = []
        for search in searches:
            # Of a search whose length no file says, what is proposed is all that is known to come.
            proposed = search.running + search.queued
            to_come = proposed if search.steps is None else max(0, search.steps - search.done)
            left += [rates.step(search.name, settings.search.budget if settings else None)] * to_come
        budget = settings.training.budget if settings else None
        for key, _ in finals_left:
            fitted = networks[key].source == LINEAR
            left.append(0.0 if fitted else rates.network(key, networks[key].samples, budget))
        if not networks and settings:
            fits = seeds * sum(BASELINES[name].fitted for name in baseline_names(settings))
            left += [0.0] * fits
            left += [rates.network("", None, budget)] * (seeds * final_networks(settings) - fits)
        known = [seconds for seconds in left if seconds is not None]
        total = None
        if known or not left:
            # What the running ones have done is not to come; it is on record once they end.
            done = sum(rates.samples(training.samples) for training in live)
            total = max(0.0, sum(known) * len(left) / max(1, len(known)) - done)
        at_once = max(1, len(live))
        lasts = total * wall / spent / at_once if total is not None and spent else None
        return Cost(spent, finished, total, len(left), at_once, lasts)


def _stage(name: str, done: bool, jobs: list[Job], note: str, at_work: bool = False) -> Stage:
    mine = [job for job in jobs if job.stage == name]
    if done:
        return Stage(name, "done", note)
    if any(job.error for job in mine):
        return Stage(name, "failed", note)
    return Stage(name, "running" if at_work or mine else "waiting", note)


def _best_of_all(searches: list[Search]) -> Best | None:
    """The best of the searched networks; a recipe of a hand-made one only where there are no others."""
    found = [s.best for s in searches if s.best and not s.name.startswith(BASELINE)]
    found = found or [s.best for s in searches if s.best]
    return max(found, key=lambda best: best.score, default=None)


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


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) else 0.0


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _of(done: int, total: int | None, what: str) -> str:
    return _many(done, what) if total is None else f"{done:,} of {_many(total, what)}"
