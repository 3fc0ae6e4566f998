"""The process that trains: ``python -m voxnas.training.worker``, started by :mod:`voxnas.training.parent`.

Under a launcher there are several; process 0 writes the files. How it ended is said in files, since
launchers do not pass exit statuses on: ``outcome.json`` (finished) or ``ended.json`` (interrupted, error).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
import traceback
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from voxnas.arch.families import family_of
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import TrainingJob
from voxnas.data.dataset import StudyData
from voxnas.data.digest import data_digest
from voxnas.data.leaks import check_study
from voxnas.io.records import read_json, read_record, write_json, write_text
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network
from voxnas.nn.device import device_name, device_of
from voxnas.nn.precision import precision_name
from voxnas.training.distributed.base import Backend
from voxnas.training.distributed.exchange import Exchange
from voxnas.training.distributed.launch import LAUNCHERS, SHARES, join_backend
from voxnas.training.linear import fit_linear
from voxnas.training.loop import Outcome, TrainingContext, fit
from voxnas.training.metrics import Validation
from voxnas.training.observe import Observer
from voxnas.training.sampling.factory import make_sampler
from voxnas.training.state import delete_state
from voxnas.training.store import Entry, store_digest
from voxnas.training.targets import Targets

CURVE = ("samples", "train_loss", "learning_rate", "val_score")  # the first columns of curve.tsv


def train_entry(
    study: Path,
    entry: Entry,
    backend: Backend,
    deadline: float,
    checkpoint_seconds: float,
    keep_state: bool,
    micro_batch: int = 0,
    measure: bool = False,
    events: Path | None = None,
) -> Outcome:
    """Train what an entry's job says.

    Parameters
    ----------
    study : path
        The study's folder.
    entry : Entry
        With its job.json.
    backend : Backend
        The group of processes.
    deadline : float
        Unix time at which to save and leave; infinite for none.
    checkpoint_seconds : float
        Time between two saved states.
    keep_state : bool
        Keep the final state, for a training that continues this one.
    micro_batch, measure
        As of :class:`voxnas.training.loop.TrainingContext`.
    events : path or None
        Folder for TensorBoard's event files.
    """
    paths = StudyPaths(study)
    check_study(paths)
    job = read_record(entry.job, TrainingJob)
    spec: dict[str, Any] = read_json(paths.spec("train"))
    training = spec["training"]
    torch.set_num_threads(training["threads"])
    data = StudyData(paths, job.architecture.view)
    scans = data.train_scans(job.fold)
    targets = Targets.of(data, scans)
    earlier = paths.store / store_digest(job.parent, spec, data_digest(paths)) if job.parent else None
    validate = Validation(data, data.validation_scans(job.fold), targets, training["precision"])

    if family_of(job.architecture).fitted:
        network: torch.nn.Module = fit_linear(job.architecture, data, scans, targets, job.seed)
        score, metrics = validate(network, backend)
        row = {"samples": len(scans), "val_score": score, **{f"val_{k}": v for k, v in metrics.items()}}
        outcome = Outcome("DONE", "", score, metrics, len(scans), 0, [row])
    else:
        signalled: list[int] = []
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, lambda received, _: signalled.append(received))

        def should_stop() -> bool:
            entry.heartbeat.touch()
            return bool(signalled) or time.time() > deadline or entry.stop.exists()

        torch.manual_seed(job.seed)
        network = build_network(job.architecture)
        network.fit_inputs(lambda: map(data.input, data.samples(scans)))
        sampler = make_sampler(data, scans, targets, job.seed, job.recipe, training["foreground"])
        observer = Observer(entry, job, events) if backend.rank == 0 else None
        context = TrainingContext(
            owner=entry.name,
            folder=entry.folder,
            parent=earlier,
            should_stop=should_stop,
            checkpoint_seconds=checkpoint_seconds,
            keep_state=keep_state,
            micro_batch=micro_batch,
            measure=measure,
            log=_log if backend.rank == 0 else lambda line: None,
            observe=observer or (lambda progress, loss, rate: None),
        )
        context.log(f"training on {device_name(backend.device)}")
        outcome = fit(network, job, training, sampler, validate, backend, context)
        if observer is not None:
            observer.close()
    if backend.rank == 0:
        device = device_of(network)
        facts: dict[str, Any] = {
            "device": device_name(device),
            "precision": precision_name(training["precision"], device),
        }
        if backend.speeds:  # of each process, where they were measured
            facts["samples_per_second"] = [round(speed, 3) for speed in backend.speeds]
        if backend.hosts:
            facts["hosts"] = list(backend.hosts)
        _record(entry, network, targets, outcome, facts, keep_state)
        if earlier is not None and outcome.state != "INTERRUPTED":
            delete_state(earlier)  # only this very training would ever continue it, and it is in the store now
    return outcome


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
    """The curve as TSV; numbers are written so that they read back the same."""
    # Not in the order of the rows: those that come from a saved state are sorted by name.
    found = {name for row in curve for name in row}
    columns = [name for name in CURVE if name in found] + sorted(found.difference(CURVE))
    lines = [columns, *([repr(row[c]) if c in row else "n/a" for c in columns] for row in curve)]
    return "".join("\t".join(line) + "\n" for line in lines) if columns else "samples\n"


def _explained(error: BaseException) -> BaseException:
    """What the user can mend, as a UserError."""
    if "not implemented for 'Half'" in str(error):
        return UserError(f"training.precision = 'fp16': this device cannot ({error})", "use bf16 or float32")
    return error


def _kind(error: BaseException) -> str:
    """``memory``, ``lost`` (another process of the group is gone) or ``error``."""
    text = str(error)
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in text:
        return "memory"
    gone = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")
    lost = type(error).__name__ == "HorovodInternalError" or any(words in text for words in gone)
    return "lost" if lost else "error"


def _log(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Train as one process of the launcher's."""
    parser = argparse.ArgumentParser(prog="voxnas.training.worker")
    parser.add_argument("--study", type=Path, required=True)
    parser.add_argument("--entry", type=Path, required=True)
    parser.add_argument("--launcher", choices=LAUNCHERS, required=True)
    parser.add_argument("--deadline", type=float, required=True)
    parser.add_argument("--checkpoint-seconds", type=float, required=True)
    parser.add_argument("--keep-state", action="store_true")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--micro-batch", type=int, default=0)
    parser.add_argument("--fusion-mb", type=float)
    parser.add_argument("--cycle-ms", type=float, default=Exchange.cycle_ms)
    parser.add_argument("--shares", choices=SHARES, default="equal")
    parser.add_argument("--events", type=Path)
    arguments = parser.parse_args(argv)
    entry = Entry(arguments.entry)
    try:
        spec = read_json(StudyPaths(arguments.study).spec("train"))
        compression = spec["training"].get("compression", "none")
        exchange = Exchange(compression, arguments.fusion_mb, arguments.cycle_ms)
        backend = join_backend(arguments.launcher, exchange, arguments.nodes)
        train_entry(
            arguments.study,
            entry,
            backend,
            arguments.deadline,
            arguments.checkpoint_seconds,
            arguments.keep_state,
            arguments.micro_batch,
            arguments.shares == "measured",
            arguments.events,
        )
        backend.close()
        return 0
    except BaseException as raised:
        error = _explained(raised)
        if isinstance(error, UserError):
            write_json(entry.ended, {"how": "user", "what": error.what, "remedy": error.remedy, "facts": {}})
            os._exit(1)
        text = traceback.format_exc()
        print(text, file=sys.stderr, flush=True)
        how = _kind(error)
        # The process that fails first says why; the others only see that it is gone.
        if how != "lost" or not entry.ended.exists():
            write_json(entry.ended, {"how": how, "text": text, "facts": {}})
        # Other processes may wait for this one in a collective: leave without a farewell.
        sys.stdout.flush()
        os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
