"""Placement of the steps and final trainings of a study, from its files alone.

Every function depends only on the records and the measured kinds of nodes. Therefore a restarted Snakemake, and the
Snakemake in each Slurm job, obtain the same result.
"""

from collections.abc import Mapping
from statistics import median_low
from typing import Any

from voxnas.arch.views import input_size
from voxnas.complexity.calibration import samples_of
from voxnas.complexity.placement import Worker, earliest_end, trial_seconds
from voxnas.core.architecture import Architecture, parse_architecture
from voxnas.core.calibration import DeviceCalibration
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.spec import SearchSpec
from voxnas.core.trial import Network, Proposal
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.search.propose import study_calibration

LOOK_BACK = 3  # windows; earlier steps no longer affect the placement

Devices = Mapping[str, DeviceCalibration]


def read_devices(paths: StudyPaths, kinds: Mapping[str, int]) -> dict[str, Any]:
    """Read the measurements of each kind of node (:mod:`voxnas.complexity.device`).

    Raises
    ------
    UserError
        If a kind has not been measured.
    """
    missing = [kind for kind in kinds if not paths.device(kind).exists()]
    if missing:
        raise UserError(
            f"placement names {', '.join(missing)}, but {paths.device(missing[0])} does not exist",
            "measure the nodes first: snakemake ... --until device",
        )
    return {kind: read_record(paths.device(kind), DeviceCalibration) for kind in kinds}


def worker_of(paths: StudyPaths, kind: str, seconds: float | None) -> Worker | None:
    """Return the worker of a step in `order: arrival`; None without a limit on the time."""
    if not kind or seconds is None:
        return None
    return Worker(kind, seconds, read_record(paths.device(kind), DeviceCalibration))


def step_kind(paths: StudyPaths, search: str, step: int, slots: Mapping[str, int], window: int) -> str:
    """Return the kind of node for a step in `order: strict`, by the predicted times of this and earlier steps.

    Parameters
    ----------
    paths : StudyPaths
        The study, with the proposals up to this step.
    search : str
        Name of the search.
    step : int
        Number of the step.
    slots : mapping of kind to int
        Parallel trainings on all nodes of a kind.
    window : int
        Window W of the search.

    Raises
    ------
    FileNotFoundError
        If the step has not been proposed.
    UserError
        If a kind of node has not been measured.
    """
    proposal = paths.step(search, step) / "proposal.json"
    if not proposal.exists():
        raise FileNotFoundError(2, "not proposed yet", str(proposal))
    devices, plan = read_devices(paths, slots), read_plan(paths.plan)
    first = max(0, step - LOOK_BACK * window)
    proposals = [read_record(paths.step(search, k) / "proposal.json", Proposal) for k in range(first, step + 1)]
    return earliest_end([_step_seconds(paths, devices, plan, p) for p in proposals], slots, window)[-1]


def _step_seconds(paths: StudyPaths, devices: Devices, plan: Plan, proposal: Proposal) -> dict[str, float]:
    if proposal.architecture is None:
        return dict.fromkeys(devices, 0.0)
    samples = proposal.samples
    if proposal.resume_from is not None:
        before = paths.step(proposal.search, proposal.resume_from) / "proposal.json"
        samples -= read_record(before, Proposal).samples
    return predicted(devices, plan, proposal.architecture, samples)


def predicted(devices: Devices, plan: Plan, architecture: Architecture, samples: int) -> dict[str, float]:
    """Predict the wall time of a training on each kind of node, in seconds."""
    size = input_size(architecture, plan)
    return {kind: trial_seconds(device, architecture, size, samples) for kind, device in devices.items()}


def arrival_kind(paths: StudyPaths, search: str, step: int, slots: Mapping[str, int], window: int) -> str:
    """Return the kind of node for a step in `order: arrival`, whose network is unknown before it starts.

    Steps are shared out by the speed of the kinds; each step is assumed to train the median network of the first kind's
    measurements.
    """
    devices, plan = read_devices(paths, slots), read_plan(paths.plan)
    table = next(iter(devices.values())).table.values()
    middle = median_low(row.train_seconds for row in table)
    architecture = parse_architecture(next(row for row in table if row.train_seconds == middle).architecture)
    budget = read_record(paths.spec(f"search-{search}"), SearchSpec).search.budget
    samples = samples_of(budget, study_calibration(paths), architecture, input_size(architecture, plan), "adamw")
    return earliest_end([predicted(devices, plan, architecture, samples)] * (step + 1), slots, window)[-1]


def finalist_kinds(paths: StudyPaths, slots: Mapping[str, int], seeds: int) -> dict[tuple[str, int], str]:
    """Return the kind of node of every final training by key and seed; the longest training is placed first."""
    devices, plan = read_devices(paths, slots), read_plan(paths.plan)
    networks = [Network.model_validate(entry) for entry in read_json(paths.finalists)["networks"]]
    times = {n.key: predicted(devices, plan, n.architecture, n.samples) for n in networks}
    order = sorted(times, key=lambda key: (-min(times[key].values()), key))
    jobs = [(key, seed) for key in order for seed in range(seeds)]
    return dict(zip(jobs, earliest_end([times[key] for key, _ in jobs], slots), strict=True))
