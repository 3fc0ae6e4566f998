"""``voxnas train``: train one proposal of a search, or one seed of a network.

Returns a stored result in under a second. Exit status 75: the state is saved, start it again.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxnas.core.trial import Network, Proposal, Result, TrainingJob
    from voxnas.training.store import Entry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument("--study", type=Path, required=True, help="folder of the study, results/<study>")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--proposal", type=Path, help="train a proposal of a search")
    what.add_argument("--network", type=Path, help="train a finalist or baseline")
    parser.add_argument("--seed", type=int, default=0, help="number of the network's training")
    add_runtime_arguments(parser)


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that say where and how to train, and never what."""
    from voxnas.training.distributed.exchange import Exchange
    from voxnas.training.distributed.launch import LAUNCHERS, SHARES

    parser.add_argument("--output", type=Path, required=True, help="result.json; the other files lie beside it")
    parser.add_argument(
        "--kind",
        type=kind_of_node,
        default=("any", None),
        metavar="KIND[:SECONDS]",
        help="kind of node that was chosen, and how long a trial may take on it",
    )
    parser.add_argument("--launcher", choices=LAUNCHERS, default="single", help="how processes are started")
    parser.add_argument("--processes", type=int, default=1, help="number of processes, on all nodes together")
    parser.add_argument("--nodes", type=int, default=1, help="nodes of this Slurm allocation to spread them over")
    parser.add_argument("--micro-batch", type=int, default=0, help="samples that a process computes at once; 0: all")
    parser.add_argument("--shares", choices=SHARES, default="equal", help="of a batch: equal, or by measured speed")
    parser.add_argument("--fusion-mb", type=float, help="MiB of gradients that travel together")
    parser.add_argument("--cycle-ms", type=float, default=Exchange.cycle_ms, help="Horovod's cycle time")
    parser.add_argument("--deadline", type=float, help="save and leave with status 75 after so many seconds")
    parser.add_argument("--tensorboard", type=int, choices=(0, 1), default=0, help="1: write TensorBoard's event files")
    parser.add_argument("--checkpoint-seconds", type=float, default=60.0, help="time between two saved states")


def kind_of_node(text: str) -> tuple[str, float | None]:
    """KIND and SECONDS of ``--kind``; ValueError if the latter are no number."""
    kind, _, seconds = text.partition(":")
    return kind, float(seconds) if seconds else None


def run(arguments: argparse.Namespace) -> int:
    """Train; see the module's docstring."""
    from voxnas.core.paths import StudyPaths
    from voxnas.core.trial import Network, Proposal
    from voxnas.io.records import read_record
    from voxnas.training.jobs import network_job
    from voxnas.training.observe import with_display_name

    if arguments.proposal:
        return train_proposal(arguments, read_record(arguments.proposal, Proposal))
    paths = StudyPaths(arguments.study)
    network = read_record(arguments.network, Network)
    return _train(
        arguments, with_display_name(paths, network), network_job(paths, network, arguments.seed), arguments.seed
    )


def train_proposal(arguments: argparse.Namespace, proposal: Proposal, earlier: Mapping[int, Proposal] = {}) -> int:
    """Train a proposal of a search. Returns the exit status; at 0 the result is written.

    Parameters
    ----------
    arguments : Namespace
        As of :func:`add_runtime_arguments`, and ``study``.
    proposal : Proposal
        What to train.
    earlier : mapping of int to Proposal
        Steps that it may continue (see :func:`voxnas.training.jobs.proposal_job`).
    """
    from voxnas.core.paths import StudyPaths
    from voxnas.core.trial import Result
    from voxnas.training.jobs import proposal_job

    if proposal.architecture is None:
        write_files(arguments, Result(state="SKIPPED", reason="nothing to do"), None, False)
        return 0
    return _train(arguments, proposal, proposal_job(StudyPaths(arguments.study), proposal, earlier))


def _train(arguments: argparse.Namespace, what: Proposal | Network, job: TrainingJob, seed: int = 0) -> int:
    """Train and write the files; a final training that fails is an error, one of a search is a result."""
    from voxnas.core.errors import TRY_AGAIN
    from voxnas.core.paths import StudyPaths
    from voxnas.core.trial import Network
    from voxnas.training.jobs import compose_result
    from voxnas.training.observe import end_events, events_folder
    from voxnas.training.parent import Interrupted, Launch, WorkerCrashed, WorkerKilled, train

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    paths = StudyPaths(arguments.study)
    final = isinstance(what, Network)
    events = events_folder(paths, what, seed) if arguments.tensorboard else None
    launch = Launch(
        launcher=arguments.launcher,
        processes=arguments.processes,
        deadline=arguments.deadline,
        checkpoint_seconds=arguments.checkpoint_seconds,
        keep_state=not isinstance(what, Network) and what.resumable,
        nodes=arguments.nodes,
        micro_batch=arguments.micro_batch,
        shares=arguments.shares,
        fusion_mb=arguments.fusion_mb,
        cycle_ms=arguments.cycle_ms,
        events=events,
        kind=arguments.kind[0],
    )

    def write(result: Result, entry: Entry | None, reused: bool) -> None:
        if events is not None:
            end_events(events, what, result, entry, reused)
        write_files(arguments, result, entry, reused, weights=final)

    try:
        entry, reused = train(paths, job, launch, log)
    except Interrupted:
        return TRY_AGAIN
    except WorkerCrashed as error:
        log(f"voxnas train: {error}")
        return 1
    except WorkerKilled as error:
        log(f"voxnas train: {error}")
        if final:
            return 1
        write(compose_result(paths, job, {"state": "FAILED", "reason": str(error)}, ""), None, False)
        return 0
    result = compose_result(paths, job, entry.finished() or {}, entry.name)
    if final and result.state == "FAILED":
        log(f"voxnas train: {result.reason}")
        return 1
    write(result, entry, reused)
    return 0


def write_files(
    arguments: argparse.Namespace, result: Result, entry: Entry | None, reused: bool, weights: bool = False
) -> None:
    """Write the result and its companions; without an entry nothing was trained to the end."""
    from voxnas.io.records import read_json, write_json, write_text

    folder = arguments.output.parent
    write_text(folder / "curve.tsv", entry.curve.read_text() if entry else "samples\n")
    write_json(folder / "run.json", {**(read_json(entry.run) if entry else {}), "reused": reused})
    if weights and entry:
        shutil.copyfile(entry.weights, folder / "weights.safetensors")
    write_json(arguments.output, result)
