"""Expected cost of a study before it runs: trainings, time, peak memory and disk space.

The estimate reads the settings, the plan and the calibration of the study, where these exist. What is missing is
assumed or left open, and said.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from voxnas.arch.baselines import BASELINES
from voxnas.arch.search_space import SearchSpace
from voxnas.arch.study_outline import baseline_names, final_networks, read_space, searches_of
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.complexity.calibration import predict_fixed_seconds, predict_sample_seconds, predict_training_mib
from voxnas.complexity.memory_model import training_mib
from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.calibration import Calibration
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan, VolumeFingerprint, VolumePlan
from voxnas.core.settings import Budget, StudySettings
from voxnas.core.strategies import STRATEGIES, is_job
from voxnas.data.fingerprint import pooling
from voxnas.io.records import read_plan
from voxnas.search.base import Job, Observation, Promotion, SearchState, Suggestion
from voxnas.search.feasible import Candidate, FeasibleSpace
from voxnas.search.propose import study_calibration
from voxnas.search.strategies.random import Random

SIDE = 64  # voxels of a patch that is not known yet
DRAWN = 32  # networks of the space from which times and memory are taken
SIMULATED = 390  # steps of a simulated promotion
UNIT = 1_000_000  # samples of the budget of a simulated trial
IDLE_MIB = 400  # of a training process
STORED = 24  # bytes per parameter: two copies of the weights, and a state with two moments and averaged weights


@dataclass(frozen=True)
class Stage:
    """Trainings of one stage.

    Attributes
    ----------
    name : str
    trainings : int or None
        None: not known in advance.
    seconds : float or None
        Expected time of one training on one worker; None: unknown.
    at_once : int
        Trainings that can run at once.
    """

    name: str
    trainings: int | None
    seconds: float | None
    at_once: int

    @property
    def hours(self) -> float | None:
        """Core- or GPU-hours of all trainings."""
        return None if self.trainings is None or self.seconds is None else self.trainings * self.seconds / 3600

    def wall_hours(self, workers: int) -> float | None:
        """Return the time of the trainings on some workers, in hours."""
        if self.trainings is None or self.seconds is None:
            return None
        return math.ceil(self.trainings / max(1, min(workers, self.at_once))) * self.seconds / 3600


@dataclass(frozen=True)
class Estimate:
    """Expected cost of a study.

    Attributes
    ----------
    stages : tuple of Stage
    unit : {"core", "GPU"}
        Unit of the hours.
    memory_mib : tuple of float or None
        Median and largest peak of a training process; None: unknown.
    disk_mib : float or None
        Bound of the disk space of the store and the networks, without the arrays; None: unknown.
    arrays_mib : float or None
        Size of the preprocessed arrays; None: not preprocessed yet.
    notes : tuple of str
        What is assumed and what is left open.
    """

    stages: tuple[Stage, ...]
    unit: str
    memory_mib: tuple[float, float] | None
    disk_mib: float | None
    arrays_mib: float | None
    notes: tuple[str, ...]


def estimate(settings: StudySettings, paths: StudyPaths, spaces: Path) -> Estimate:
    """Estimate the cost of a study.

    Parameters
    ----------
    settings : StudySettings
    paths : StudyPaths
        Folder of the study, which need not exist.
    spaces : Path
        Folder of the search spaces (config/search_spaces).

    Raises
    ------
    UserError
        If the search space cannot be read, or a record of the study is damaged.
    """
    notes: list[str] = []
    calibration, plan = study_calibration(paths), _plan(settings, paths, notes)
    networks = [] if plan is None else _networks(settings, plan, calibration, spaces, notes)
    if calibration is None:
        notes.append("without a calibration: memory by the model of a float32 training on a CPU, uncorrected")
    stages = _stages(settings, plan, calibration, networks, notes)
    memory, disk = None, None
    if plan is not None and networks:
        sizes = [(architecture, input_size(architecture, plan)) for architecture, _ in networks]
        batch = settings.training.batch_size
        peaks = [
            training_mib(a, size, batch, bf16=False)
            if calibration is None
            else predict_training_mib(calibration, a, size)
            for a, size in sizes
        ]
        memory = IDLE_MIB + float(np.median(peaks)), IDLE_MIB + max(peaks)
        largest = max(analyze(a, size).parameters for a, size in sizes)
        disk = STORED * largest * sum(stage.trainings or 0 for stage in stages) / 2**20
    files = [f for f in (paths.preprocess / "shards").rglob("*") if f.is_file()]
    arrays = sum(f.stat().st_size for f in files) / 2**20 if files else None
    unit = "GPU" if calibration is not None and calibration.memory.cuda else "core"
    return Estimate(tuple(stages), unit, memory, disk, arrays, tuple(notes))


def _plan(settings: StudySettings, paths: StudyPaths, notes: list[str]) -> Plan | None:
    """Return the plan of the study; before it exists, a plan of assumed volumes, or None for time series."""
    if paths.plan.exists():
        return read_plan(paths.plan)
    if settings.timed:
        notes.append("time series without a plan: memory and disk are not estimated (run `--until preprocess` first)")
        return None
    given = settings.training.patch
    patch = (SIDE, SIDE, SIDE) if given == "auto" else given
    spacing = (1.0, 1.0, 1.0)
    strides, kernels = pooling(patch, spacing)
    notes.append(f"without a plan: patches of {' x '.join(map(str, patch))} voxels, one channel, two outputs")
    return VolumePlan.model_validate(
        {
            "task": settings.task,
            "channels": 1,
            "outputs": 1 if settings.task == "regression" else 2,
            "labels": {"0": "background", "1": "foreground"} if settings.task == "segmentation" else {},
            "classes": ("a", "b") if settings.task == "classification" else (),
            "patch": patch,
            "strides": strides,
            "kernels": kernels,
            "spacing": spacing,
            "normalize": "zscore",
            "crop": True,
            "fingerprint": VolumeFingerprint(median_shape=patch, median_spacing=spacing, scans=1),
        }
    )


def _networks(
    settings: StudySettings, plan: Plan, calibration: Calibration | None, spaces: Path, notes: list[str]
) -> list[tuple[Architecture, str]]:
    """Return networks of the space within the limits, and the hand-made networks, with their optimizers."""
    limits = settings.search.limits
    made = [BASELINES[name](plan, limits) for name in baseline_names(settings) if not BASELINES[name].fitted]
    found: list[tuple[Architecture, str]] = [(architecture, recipe.optimizer) for architecture, recipe in made]
    if not settings.search.methods:
        return found
    if calibration is None:
        limits = limits.model_copy(update={"latency_ms": None, "memory_mib": None})
    source = f"search.space = {settings.search.space!r}"
    space = SearchSpace.from_dict(read_space(settings, spaces, settings.study), source)
    feasible = FeasibleSpace(space, plan, limits, calibration)
    for step in range(DRAWN):
        state = SearchState(feasible, (), (), step, settings.seed, lambda candidate, share=1.0: 1)
        if (drawn := Random()(state)) is not None and drawn.candidate is not None:
            found.append((drawn.candidate.architecture, drawn.candidate.recipe.optimizer))
    notes.append(f"the networks of a search resemble {DRAWN} random ones of its space within the limits")
    return found


def _stages(
    settings: StudySettings,
    plan: Plan | None,
    calibration: Calibration | None,
    networks: Sequence[tuple[Architecture, str]],
    notes: list[str],
) -> list[Stage]:
    """Return the stages that train networks."""

    def seconds(budget: Budget, share: float) -> float | None:
        """Time of a training within a multiple of a budget."""
        if budget.unit == "cpu_seconds":
            return share * budget.amount
        if calibration is None or plan is None or not networks:
            return None
        sizes = [(a, input_size(a, plan), optimizer) for a, optimizer in networks]
        samples = share * budget.amount
        times = [
            predict_fixed_seconds(calibration, a, size)
            + samples * predict_sample_seconds(calibration, a, size, optimizer)
            for a, size, optimizer in sizes
        ]
        return float(np.mean(times))

    search, seeds = settings.search, settings.training.seeds
    searches = searches_of(settings)
    lengths = [steps for steps in searches.values() if steps]
    stages = []
    if lengths:
        share = mean_share(settings, max(lengths))
        at_once = search.window * len(lengths)
        stages.append(Stage("steps of searches", sum(lengths), seconds(search.budget, share), at_once))
    silent: list[Stage] = []
    for method in filter(is_job, search.methods):
        job = STRATEGIES[method].model_validate(search.options.get(method, {}))
        assert isinstance(job, Job)
        budgets = job.budgets()
        time = None if budgets is None else seconds(search.budget, budgets)
        stages.append(Stage(f"searches {method}, each one job", search.seeds, time, search.seeds))
        if budgets is None:
            silent.append(stages[-1])
            notes.append(f"the search {method} states no budget: its time is unknown")
    fitted = sum(BASELINES[name].fitted for name in baseline_names(settings))
    finals = seeds * (final_networks(settings) - fitted)
    stages.append(Stage("final trainings", finals, seconds(settings.training.budget, 1), finals))
    derived = seeds * (settings.final.refit + (settings.final.teacher != "none"))
    if derived:
        longer = seconds(settings.training.budget, settings.final.longer)
        stages.append(Stage("trainings on all folds", derived, longer, derived))
    if "prune" in settings.compression.steps:
        pruned = seeds * len(settings.compression.prune.levels)
        shorter = seconds(settings.training.budget, settings.compression.prune.longer)
        stages.append(Stage("fine-tuning of pruned networks", pruned, shorter, pruned))
        if settings.compression.prune.scratch:
            # As many multiply-adds as the training of the winner and the fine-tuning.
            both = seconds(settings.training.budget, 1 + settings.compression.prune.longer)
            stages.append(Stage("pruned architectures from scratch", pruned, both, pruned))
    if any(stage.seconds is None and stage not in silent for stage in stages):
        file = f"results/{settings.study}/calibration.json"
        notes.append(f"the time of a budget in samples is unknown until the plan and {file} exist")
    if settings.timed:
        notes.append("a finalist with operators along time is trained a second time without them")
    notes.append("preprocessing, calibration, evaluation and the report are not included; no training ends early")
    return stages


def mean_share(settings: StudySettings, steps: int) -> float:
    """Return the mean cost of a step of a search in budgets, by a simulation of the promotion with random scores.

    Parameters
    ----------
    settings : StudySettings
    steps : int
        Steps of the search; more than a few hundred are not simulated.
    """
    name = settings.search.promotion
    if not name:
        return 1.0
    promotion = STRATEGIES[name](**settings.search.options.get(name, {}))
    assert isinstance(promotion, Promotion)
    candidate = Candidate({}, cast(Any, None), Recipe())  # no promotion reads the network, since no worker is given
    rng, spent = np.random.default_rng(0), 0
    done: dict[int, Observation] = {}
    for step in range(min(steps, SIMULATED)):
        state = SearchState(
            cast(Any, None), tuple(done.values()), (), step, 0, lambda candidate, share=1.0: round(share * UNIT)
        )
        found = promotion(state, lambda state: Suggestion(candidate, origin="new"))
        if found is None:
            continue
        before = None if found.continue_step is None else done[found.continue_step]
        samples = UNIT if found.samples is None else found.samples
        done[step] = Observation(
            step,
            f"t{step}" if before is None else before.trial,
            candidate,
            rung=found.rung if before is None else before.rung + 1,
            resume_from=found.continue_step,
            state="DONE",
            scores={"score": float(rng.random())},
            samples=samples,
        )
        spent += samples - (0 if before is None else before.samples)
    return spent / UNIT / max(1, len(done))
