"""The worker process of a training, ``python -m voxnas.training.worker``, which :mod:`voxnas.training.parent` starts.

Under a launcher several processes run, and process 0 writes the files. Launchers do not forward exit statuses, so the
end is recorded in ``outcome.json`` (finished) or ``ended.json`` (interrupted, error).
"""

import argparse
import math
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from voxnas.arch.families import family_of
from voxnas.arch.views import network_divisor
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.spec import TrainSpec
from voxnas.core.training import FineTune, Supernet, Training
from voxnas.data.dataset import StudyData
from voxnas.data.digest import data_digest
from voxnas.data.leaks import check_study
from voxnas.io.records import read_record, write_json, write_text
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network
from voxnas.nn.device import device_name, device_of
from voxnas.nn.precision import precision_name
from voxnas.training.distributed.base import Backend
from voxnas.training.distributed.exchange import Exchange
from voxnas.training.distributed.launch import join_backend
from voxnas.training.failures import describe_error
from voxnas.training.linear import fit_linear
from voxnas.training.loop import Outcome, TrainingContext, fit
from voxnas.training.mask import read_mask
from voxnas.training.metrics import Validation
from voxnas.training.observe import Observer
from voxnas.training.run_options import RunOptions
from voxnas.training.sampling.factory import make_sampler
from voxnas.training.start import load_start
from voxnas.training.state import delete_state
from voxnas.training.steps.factory import make_step
from voxnas.training.store import Entry, store_digest
from voxnas.training.targets import Targets

CURVE = ("samples", "train_loss", "learning_rate", "val_score")  # the first columns of curve.tsv


def train_entry(paths: StudyPaths, entry: Entry, options: RunOptions, backend: Backend) -> Outcome:
    """Run the training of an entry.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    entry : Entry
        Entry with its job.json.
    options : RunOptions
    backend : Backend
        The group of processes.
    """
    check_study(paths)
    job = entry.training()
    spec = read_record(paths.spec("train"), TrainSpec)
    training = spec.training
    torch.set_num_threads(training.threads)
    data = StudyData(paths, job.architecture.view, network_divisor(job.architecture))
    scans, alpha_scans = training_scans(data, job)
    targets = Targets.of(data, scans)
    earlier = paths.store / store_digest(job.parent, spec, data_digest(paths)) if job.parent else None
    validate = None
    if job.fold is not None:
        validate = Validation(data, data.validation_scans(job.fold), targets, training.precision)
        validate.check(job.fold)

    if family_of(job.architecture).fitted:
        network: nn.Module = fit_linear(job.architecture, data, scans, targets, job.seed)
        score, metrics = validate(network, backend) if validate else (None, {})
        row = {
            "samples": len(scans),
            **{f"val_{k}": v for k, v in {"score": score, **metrics}.items() if v is not None},
        }
        outcome = Outcome("DONE", "", score, metrics, len(scans), 0, [row])
    else:
        should_stop = _stop_signs(entry, options)
        torch.manual_seed(job.seed)
        network = build_network(job.architecture)
        network.fit_inputs(lambda: map(data.input, data.samples(scans)))
        if isinstance(job, FineTune):
            load_start(network, paths, job, job.start)
        mask = read_mask(paths, job.mask, network) if job.mask else None
        how = (job.recipe, training.foreground)
        sampler = make_sampler(data, scans, targets, job.seed, *how)
        alpha_seed = derive_seed(job.seed, "alphas")
        alpha_sampler = make_sampler(data, alpha_scans, targets, alpha_seed, *how) if alpha_scans else None
        step = make_step(paths, job, training, network, targets, sampler, alpha_sampler, backend.device)
        observer = Observer(entry, job, options.tensorboard) if backend.rank == 0 else None
        context = TrainingContext(
            folder=entry.folder,
            options=options,
            parent=earlier,
            should_stop=should_stop,
            log=_log if backend.rank == 0 else lambda line: None,
            observe=observer or (lambda progress, loss, rate: None),
        )
        context.log(f"training on {device_name(backend.device)}")
        outcome = fit(network, job, training, step, sampler, validate, backend, context, mask)
        if observer is not None:
            observer.close()
    if backend.rank == 0:
        device = device_of(network)
        facts: dict[str, Any] = {
            "device": device_name(device),
            "precision": precision_name(training.precision, device),
        }
        if backend.speeds:
            facts["samples_per_second"] = [round(speed, 3) for speed in backend.speeds]
        if backend.hosts:
            facts["hosts"] = list(backend.hosts)
        _record(entry, network, targets, outcome, facts, options.keep_state)
        if earlier is not None and outcome.state != "INTERRUPTED":
            delete_state(earlier)  # only this training, which the store now has, continues the earlier state
    return outcome


def training_scans(data: StudyData, job: Training) -> tuple[list[str], list[str]]:
    """List the training scans of the weights, and the training scans of the alphas of a supernet."""
    folds = job.alpha_folds if isinstance(job, Supernet) else ()
    alpha_scans = [scan for fold in folds for scan in data.validation_scans(fold)]
    scans = [scan for scan in data.train_scans(job.fold) if scan not in alpha_scans]
    if not scans:
        raise UserError(f"alpha_folds = {list(folds)} leave the weights no scan", "raise splits.folds or name fewer")
    return scans, alpha_scans


def _stop_signs(entry: Entry, options: RunOptions) -> Callable[[], bool]:
    """Return a function that requests an end on a signal, at the deadline or by the parent, and sends a heartbeat."""
    signalled: list[int] = []
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda received, _: signalled.append(received))
    deadline = math.inf if options.deadline is None else options.deadline

    def should_stop() -> bool:
        entry.heartbeat.touch()
        return bool(signalled) or time.time() > deadline or entry.stop.exists()

    return should_stop


def _record(
    entry: Entry,
    network: torch.nn.Module,
    targets: Targets,
    outcome: Outcome,
    facts: dict[str, Any],
    keep_state: bool,
) -> None:
    facts = {**facts, "resumed_from": outcome.resumed_from, "versions": {"torch": torch.__version__}}
    write_json(entry.ended, {"how": outcome.state.lower(), "facts": facts})
    if outcome.state == "INTERRUPTED":
        _log(f"interrupted, state saved at {outcome.samples} samples")
        return
    write_text(entry.curve, curve_text(outcome.curve))
    if outcome.state != "FAILED":
        save_weights(entry.weights, network.state_dict(), targets.metadata())
    found = asdict(outcome)
    entry.finish({name: found[name] for name in ("state", "reason", "score", "metrics", "samples")})
    entry.progress.unlink(missing_ok=True)
    if not keep_state:
        delete_state(entry.folder)
    _log(f"{outcome.state.lower()} at {outcome.samples} samples, score {outcome.score}. {outcome.reason}")


def curve_text(curve: list[dict[str, float]]) -> str:
    """Format a `curve` as TSV, with the shortest numbers that are exact."""
    # Rows from a saved state are sorted by name, so the order of their columns is fixed here.
    found = {name for row in curve for name in row}
    columns = [name for name in CURVE if name in found] + sorted(found.difference(CURVE))
    lines = [columns, *([repr(row[c]) if c in row else "n/a" for c in columns] for row in curve)]
    return "".join("\t".join(line) + "\n" for line in lines) if columns else "samples\n"


def _log(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Train as one process of the launcher with the command line `argv`."""
    parser = argparse.ArgumentParser(prog="voxnas.training.worker")
    parser.add_argument("--study", type=StudyPaths, required=True)
    parser.add_argument("--entry", type=Path, required=True)
    arguments = parser.parse_args(argv)
    paths, entry = arguments.study, Entry(arguments.entry)
    try:
        options = read_record(entry.launch, RunOptions)
        compression = read_record(paths.spec("train"), TrainSpec).training.compression
        exchange = Exchange(compression, options.fusion_mb, options.cycle_ms)
        backend = join_backend(options.launcher, exchange, options.nodes)
        train_entry(paths, entry, options, backend)
        backend.close()
        return 0
    except BaseException as error:
        end = describe_error(error)
        if "text" in end:
            print(end["text"], file=sys.stderr, flush=True)
        # The process that fails first knows the reason; the others only detect its absence.
        if end["how"] != "lost" or not entry.ended.exists():
            write_json(entry.ended, end)
        # Exit at once, because other processes may wait for this process in a collective operation.
        sys.stdout.flush()
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
