"""Measurement of what a training costs besides the passes of its network.

:mod:`voxnas.complexity.calibrate` times forward and backward passes. This module times the updates of each optimizer,
the reading of samples, the validation and the process itself, so that a budget in CPU seconds pays for all of them.
The process is measured by two short trainings of a cheap network, whose difference is the cost of a step.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar, get_args

import numpy as np
import torch
from scipy.optimize import nnls
from torch import nn

from voxnas.arch.views import input_size, network_divisor
from voxnas.complexity.calibration import predict_sample_seconds
from voxnas.complexity.features import update_features
from voxnas.complexity.measured import cpu_clock
from voxnas.core.architecture import Recipe, parse_architecture
from voxnas.core.calibration import Calibration, MeasuredNetwork, ProcessCost
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.spec import CalibrateSpec
from voxnas.core.training import Fit, Training
from voxnas.data.dataset import StudyData
from voxnas.io.records import write_json
from voxnas.nn.build import build_network
from voxnas.nn.device import compute_device, synchronize
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.metrics import Validation
from voxnas.training.optimizers import build_optimizer
from voxnas.training.run_options import RunOptions
from voxnas.training.sampling.factory import make_sampler
from voxnas.training.store import Entry
from voxnas.training.targets import Targets

M = TypeVar("M", bound=Calibration)
OPTIMIZERS = get_args(Recipe.model_fields["optimizer"].annotation)
READ = 64  # timed samples
VALIDATED = 8  # scans of a timed validation
UPDATES = 3  # timed updates
PROBE_SECONDS = 3.0  # predicted time of the steps of the longer of the two trainings
APART = 2.0  # ratio of latencies from which two networks tell predictions from the rest of a validation


def add_overheads(paths: StudyPaths, plan: Plan, spec: CalibrateSpec, record: M) -> M:
    """Return a calibration with the costs of updates and of the process.

    Parameters
    ----------
    paths : StudyPaths
        A study that is preprocessed and split, with the specs of the trainings.
    plan : Plan
    spec : CalibrateSpec
    record : Calibration
        The timed networks.
    """
    architectures = {key: parse_architecture(row.architecture) for key, row in record.table.items()}
    table = {}
    for key, row in record.table.items():
        network = build_network(architectures[key]).to(compute_device())
        table[key] = row.model_copy(
            update={"update_seconds": {name: time_update(network, name) for name in OPTIMIZERS}}
        )
    features = [update_features(a, record.table[key].patch) for key, a in architectures.items()]
    updates = {name: _fit_update(features, [row.update_seconds[name] for row in table.values()]) for name in OPTIMIZERS}
    record = record.model_copy(update={"table": table, "updates": updates})
    views = {a.view for a in architectures.values()}
    process = {view: _process_cost(paths, plan, spec, record, view) for view in plan.views or ("",) if view in views}
    return record.model_copy(update={"process": process})


def time_update(network: nn.Module, optimizer: str) -> float:
    """Time of one update of the weights of a network by an optimizer, in seconds (median)."""
    built = build_optimizer(network, Recipe(optimizer=optimizer, learning_rate=1e-6))
    clock, times = cpu_clock(compute_device()), []
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    for _ in range(1 + UPDATES):
        begun = clock()
        built.step()
        synchronize(compute_device())
        times.append(clock() - begun)
    return float(np.median(times[1:]))


def _fit_update(features: Sequence[dict[str, float]], times: Sequence[float]) -> dict[str, float]:
    """Non-negative coefficients of the features of an update, by least squares of the relative errors."""
    target = np.array(times)
    matrix = np.array([list(row.values()) for row in features]) / target[:, None]
    return dict(zip(features[0], map(float, nnls(matrix, np.ones(len(target)))[0]), strict=True))


def _process_cost(paths: StudyPaths, plan: Plan, spec: CalibrateSpec, record: Calibration, view: str) -> ProcessCost:
    """Measure the costs besides passes and updates in one view."""
    data, backend = StudyData(paths, view), SingleBackend()
    scans = data.train_scans(0)
    targets = Targets.of(data, scans)
    recipe = Recipe.model_validate(
        {"loss": {"segmentation": "dice_ce", "classification": "ce", "regression": "mse"}[spec.task]}
    )
    rows = [row for row in record.table.values() if parse_architecture(row.architecture).view == view]
    rows.sort(key=lambda row: row.latency_ms)
    cheap, dear = rows[0], rows[len(rows) // 2]
    read = _reading_seconds(data, scans, targets, spec, recipe)
    scored = data.validation_scans(0)

    def validation_seconds(row: MeasuredNetwork) -> float:
        architecture = parse_architecture(row.architecture)
        network = build_network(architecture).to(backend.device)
        of_network = StudyData(paths, view, network_divisor(architecture))
        few = Validation(of_network, scored[:VALIDATED], targets, spec.precision)
        clock = cpu_clock(backend.device)
        begun = clock()
        few(network, backend)
        return (clock() - begun) * len(scored) / len(scored[:VALIDATED])

    validation_seconds(cheap)  # afterwards files are open and cached, as in most of a training
    short, long = validation_seconds(cheap), validation_seconds(dear)
    between = (dear.latency_ms - cheap.latency_ms) / 1e3
    predictions = short / (cheap.latency_ms / 1e3)
    if dear.latency_ms > APART * cheap.latency_ms:
        predictions = min(predictions, max(0.0, long - short) / between)
    validation = short - predictions * cheap.latency_ms / 1e3

    architecture = parse_architecture(cheap.architecture)
    batch = record.batch_size
    cost = ProcessCost(read=read, validation=validation, predictions=predictions)
    record = record.model_copy(update={"process": {view: cost}})
    of_step = batch * predict_sample_seconds(record, architecture, input_size(architecture, plan))
    steps = max(4 * spec.validations, int(PROBE_SECONDS / of_step))

    def training(samples: int) -> float:
        return training_seconds(
            paths, Fit(architecture=architecture, recipe=recipe, fold=0, seed=spec.seed, samples=samples)
        )

    first, whole = training(batch), training(steps * batch)
    rest = (whole - first - (spec.validations - 1) * short) / (steps - 1) - of_step
    step = max(0.0, rest)
    return cost.model_copy(update={"step": step, "start": max(0.0, first - short - of_step - step)})


def _reading_seconds(
    data: StudyData, scans: Sequence[str], targets: Targets, spec: CalibrateSpec, recipe: Recipe
) -> float:
    """CPU seconds to read and augment one training sample, at the default strength."""
    sampler = make_sampler(data, scans, targets, spec.seed, recipe, spec.foreground)
    seconds = 0.0
    for _ in range(2):  # in the second pass files are open and cached, as in most of a training
        begun = time.process_time()
        for j in range(READ):
            sampler.batch([j])
        seconds = (time.process_time() - begun) / READ
    return seconds


def training_seconds(paths: StudyPaths, job: Training) -> float:
    """Run a training outside of the store, and return the CPU seconds of its process; wall time beside a GPU."""
    with tempfile.TemporaryDirectory() as folder:
        entry = Entry(Path(folder))
        write_json(entry.job, job)
        write_json(entry.launch, RunOptions())
        command = [sys.executable, "-m", "voxnas.training.worker", "--study", str(paths.root), "--entry", folder]
        begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True)
        if compute_device().type == "cuda":
            return time.perf_counter() - begun
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
