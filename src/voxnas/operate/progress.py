"""Progress of a study, read from its files alone.

Nothing is written, and neither Slurm nor Snakemake is queried, so that any host may observe a running study.
"""

import time
from pathlib import Path

from pydantic import ValidationError

from voxnas.arch.baselines import BASELINES
from voxnas.arch.study_outline import baseline_names, final_networks, has_spatial_steps, searches_of
from voxnas.core.measures import validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import StudySettings
from voxnas.core.trial import LINEAR, Network, Proposal, Result
from voxnas.operate.job_logs import Job, JobLogs
from voxnas.operate.leased import LeasedTrainings, Place
from voxnas.operate.rates import Rates, Trained
from voxnas.operate.reader import Reader, as_number
from voxnas.operate.snapshot import Best, Cost, Failure, Running, Search, Snapshot, Stage
from voxnas.search.chain import Chain
from voxnas.search.select import BASELINE, ranked

QUIET_SECONDS = 90.0  # a training has a heartbeat every 10 s; other jobs write logs


class Watcher:
    """Observer of one study, which may be asked repeatedly.

    Parameters
    ----------
    root : path
        Folder of the study.
    """

    def __init__(self, root: Path) -> None:
        self.paths = StudyPaths(root)
        self._reader = Reader()
        self._logs = JobLogs(self.paths, self._reader)
        self._leased = LeasedTrainings(self.paths, self._reader)

    def look(self) -> Snapshot:
        """Return the present state of the study."""
        read, paths = self._reader, self.paths
        read.begin()
        settings = read.record(paths.settings, StudySettings)
        networks = self._networks()
        seeds_done = self._trained_seeds()
        seeds = settings.training.seeds if settings else 1 + max((seed for _, seed in seeds_done), default=0)
        finals = {(key, seed) for key in networks for seed in range(seeds)}
        running, held = self._leased.find(networks, finals - seeds_done)
        searches, trials_failed, trained = self._searches(settings, held)
        jobs = self._logs.unfinished()
        live = [training for training in running if training.alive]
        stages = [
            *self._data_stages(settings, jobs),
            *self._search_stages(searches, jobs),
            *self._final_stages(settings, networks, finals, finals & seeds_done, held, jobs),
        ]
        quiet = max(0.0, time.time() - read.changed)
        jobs_failed = [Failure(job.name, job.error, job.log) for job in jobs if job.error]
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
            measure=validation_measure(settings.task) if settings else None,
            unreadable=sorted(read.unreadable),
        )

    def _networks(self) -> dict[str, Network]:
        """Finalists and baselines by key; of equal networks the first."""
        try:
            networks = map(Network.model_validate, self._reader.plain(self.paths.finalists).get("networks", []))
            return {network.key: network for network in reversed(list(networks))}
        except (TypeError, ValidationError):
            self._reader.unreadable.add(self.paths.finalists)
            return {}

    def _trained_seeds(self) -> set[Place]:
        """Final trainings with a result."""
        keys = self._reader.names(self.paths.root / "networks")
        names = [(key, name) for key in keys for name in self._reader.names(self.paths.network(key))]
        seeds = [(key, name.removeprefix("seed-")) for key, name in names]
        places = {(key, int(seed)) for key, seed in seeds if seed.isdecimal()}
        return {(key, seed) for key, seed in places if (self.paths.seed(key, seed) / "result.json").exists()}

    def _searches(
        self, settings: StudySettings | None, held: set[Place]
    ) -> tuple[list[Search], list[Failure], list[Trained]]:
        read = self._reader
        known = searches_of(settings) if settings else {}
        if not known:
            planned = read.plain(self.paths.finalists).get("searches")
            known |= planned if isinstance(planned, dict) else {}
        searches, failures, trained = [], [], []
        for name in dict.fromkeys([*known, *read.names(self.paths.root / "search")]):
            search = Search(name, known.get(name))
            pairs: list[tuple[Proposal, Result]] = []
            samples: dict[int | None, int] = {}
            for step in read.numbers(self.paths.root / "search" / name / "steps"):
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
                # The cost of a step is that of the samples added to the trial's earlier steps.
                added = result.samples - samples.get(proposal.resume_from, 0)
                samples[step] = result.samples
                seconds = as_number(read.plain(folder / "run.json").get("cpu_seconds"))
                if seconds and added > 0:
                    trained.append(Trained(name, result.key, added, seconds))
            trials = ranked(Chain(tuple(p for p, _ in pairs), tuple(r for _, r in pairs)))
            if trials and trials[0][1].score is not None:
                proposal, result = trials[0]
                step_name, score = f"{name} {proposal.step}", trials[0][1].score
                search.best = Best(step_name, score, result.parameters, result.macs, proposal.config)
            searches.append(search)
        return searches, failures, trained

    def _trained_networks(self, done: set[Place]) -> list[Trained]:
        found = []
        for key, seed in done:
            folder = self.paths.seed(key, seed)
            result = self._reader.record(folder / "result.json", Result)
            seconds = as_number(self._reader.plain(folder / "run.json").get("cpu_seconds"))
            if result is not None and result.samples and seconds:
                found.append(Trained("", key, result.samples, seconds))
        return found

    def _data_stages(self, settings: StudySettings | None, jobs: list[Job]) -> list[Stage]:
        read, paths = self._reader, self.paths
        indexed = paths.scans.exists()
        note = _many(read.lines(paths.scans), "scan") if indexed else ""
        left_out = read.lines(paths.index_excluded)
        index = _stage("index", indexed, jobs, f"{note}, {left_out} left out" if left_out else note)
        shards = settings.preprocess.shards if settings else None
        names = read.names(paths.preprocess / "shards")
        # A shard of runs is a folder; the record of a shard of images is its last file.
        ready = len({name.removesuffix(".json") for name in names if name.removesuffix(".json").isdecimal()})
        note = _of(ready, shards, "shard") if ready or shards else ""
        if settings is not None and has_spatial_steps(settings):
            spatial = len(read.numbers(paths.preprocess / "spatial"))
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
        profiled = sum((paths.network(key) / "profile.json").exists() for key in networks)
        note = f"{_of(scored, len(networks), 'network')} scored, {profiled} profiled" if networks else ""
        over = train.state == "done" and scored == profiled == len(networks) and paths.leaderboard.exists()
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
        """Sum the cost in the store, including interrupted trainings, and estimate the rest by :class:`Rates`."""
        entries = [self.paths.store / name for name in self._reader.names(self.paths.store)]
        runs = [self._reader.plain(entry / "run.json") for entry in entries]
        spent, wall = (sum(as_number(run.get(name)) for run in runs) for name in ("cpu_seconds", "wall_seconds"))
        finished = sum((entry / "outcome.json").exists() for entry in entries)
        left: list[float | None] = []
        for search in searches:
            # For a search of unknown length only the proposed steps are known to remain.
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
            # Samples already seen by the running trainings do not remain; they are recorded at the end.
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
    """Best searched network; without one, the best recipe of a hand-made network."""
    found = [s.best for s in searches if s.best and not s.name.startswith(BASELINE)]
    found = found or [s.best for s in searches if s.best]
    return max(found, key=lambda best: best.score, default=None)


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _of(done: int, total: int | None, noun: str) -> str:
    return _many(done, noun) if total is None else f"{done:,} of {_many(total, noun)}"
