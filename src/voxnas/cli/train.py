"""``voxnas train``: train one seed of a network with the full budget.

A stored result is written without a training. Exit status 75: the state is saved, and the job must be repeated.
"""

from __future__ import annotations

import argparse
import shlex
import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from voxnas.core.paths import StudyPaths

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voxnas.core.training import Training
    from voxnas.core.trial import Network, Proposal, Result
    from voxnas.training.store import Entry

# Fields of RunOptions that are options of the command.
OPTIONS = (
    "launcher", "processes", "nodes", "micro_batch", "recompute", "shares", "fusion_mb", "cycle_ms",
    "checkpoint_seconds",
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--network", type=Path, required=True, help="record of a finalist or baseline")
    parser.add_argument("--seed", type=int, default=0, help="number of the seed, from 0")
    add_runtime_arguments(parser)


def add_runtime_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options that are not part of the identity of a training."""
    parser.add_argument(
        "--output", type=Path, required=True, help="result.json to write; the other files are written to its folder"
    )
    parser.add_argument(
        "--kind",
        type=kind_of_node,
        default=("any", None),
        metavar="KIND[:SECONDS]",
        help="kind of node of this job, and maximum predicted duration of a trial on it",
    )
    parser.add_argument("--tensorboard", type=int, choices=(0, 1), default=0, help="1: write TensorBoard event files")
    add_launch_arguments(parser)


def add_launch_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the processes and the course of a training."""
    parser.add_argument(
        "--options", action=_Options, metavar="TEXT", help="the following options in one argument, as in a shell"
    )
    _add_run_options(parser)


def launch_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Fields of RunOptions from the arguments of :func:`add_launch_arguments`."""
    options = {name: getattr(arguments, name) for name in OPTIONS}
    if arguments.deadline is not None:
        options["deadline"] = time.time() + arguments.deadline
    return options


class _Options(argparse.Action):
    """Parse the options in one text, so that the workflow passes each resource as one quoted argument."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, *_: Any) -> None:
        inner = argparse.ArgumentParser(prog=parser.prog, add_help=False)
        _add_run_options(inner)
        try:
            inner.parse_args(shlex.split(values), namespace)
        except ValueError as error:
            parser.error(f"--options {values!r}: {error}")


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the course of a training."""
    from voxnas.training.run_options import RunOptions

    parser.add_argument(
        "--deadline", type=float, help="after this number of seconds, save the state and end with status 75"
    )
    for name in OPTIONS:
        field = RunOptions.model_fields[name]
        values = get_args(field.annotation) or (
            field.annotation,
        )  # values of a Literal, or types of an optional number
        how = {"choices": values} if isinstance(values[0], str) else {"type": values[0]}
        parser.add_argument("--" + name.replace("_", "-"), default=field.default, help=field.description, **how)


def kind_of_node(text: str) -> tuple[str, float | None]:
    """Parse KIND[:SECONDS]; ValueError if SECONDS is not a number."""
    kind, _, seconds = text.partition(":")
    return kind, float(seconds) if seconds else None


def run(arguments: argparse.Namespace) -> int:
    """Train the network and write its files."""
    from voxnas.core.trial import Network
    from voxnas.io.records import read_record
    from voxnas.training.jobs import network_job
    from voxnas.training.observe import with_display_name

    paths = arguments.study
    network = read_record(arguments.network, Network)
    return _train(
        arguments, with_display_name(paths, network), network_job(paths, network, arguments.seed), arguments.seed
    )


def train_proposal(arguments: argparse.Namespace, proposal: Proposal, earlier: Mapping[int, Proposal] = {}) -> int:
    """Train a proposal of a search and return the exit status; with status 0 the result is written.

    Parameters
    ----------
    arguments : Namespace
        Arguments of :func:`add_runtime_arguments`, and ``study``.
    proposal : Proposal
        Architecture and recipe to train.
    earlier : mapping of int to Proposal
        Earlier steps that the proposal may continue (see :func:`voxnas.training.jobs.proposal_job`).
    """
    from voxnas.core.trial import Result
    from voxnas.training.jobs import proposal_job

    if proposal.architecture is None:
        write_files(arguments, Result(state="SKIPPED", reason="nothing to do"), None, False)
        return 0
    return _train(arguments, proposal, proposal_job(arguments.study, proposal, earlier))


def _train(arguments: argparse.Namespace, what: Proposal | Network, job: Training, seed: int = 0) -> int:
    """Train and write the files."""
    from voxnas.core.trial import Proposal
    from voxnas.training import failures
    from voxnas.training.jobs import compose_result
    from voxnas.training.observe import end_events, events_folder
    from voxnas.training.parent import train
    from voxnas.training.run_options import RunOptions

    def log(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    paths = arguments.study
    final = not isinstance(what, Proposal)
    options = launch_options(arguments)
    events = events_folder(paths, what, seed) if arguments.tensorboard else None
    keep_state = isinstance(what, Proposal) and what.resumable
    options |= {"keep_state": keep_state, "tensorboard": events, "kind": arguments.kind[0]}
    try:
        trained = train(paths, job, RunOptions(**options), log)
        if final:
            failures.check_final(trained.outcome)
    except failures.NoResult as end:
        if str(end):
            log(f"voxnas train: {end}")
        return end.status
    entry = trained.entry
    result = compose_result(paths, what.key, job, trained.outcome, entry.name if entry else "")
    if entry is None:
        log(f"voxnas train: {result.reason}")
    if events is not None:
        end_events(events, what, result, entry, trained.reused)
    write_files(arguments, result, entry, trained.reused, weights=final)
    return 0


def write_files(
    arguments: argparse.Namespace, result: Result, entry: Entry | None, reused: bool, weights: bool = False
) -> None:
    """Write result, curve and run record; `entry` is None if no training finished."""
    from voxnas.io.records import read_json, write_json, write_text

    folder = arguments.output.parent
    write_text(folder / "curve.tsv", entry.curve.read_text() if entry else "samples\n")
    write_json(folder / "run.json", {**(read_json(entry.run) if entry else {}), "reused": reused})
    if weights and entry:
        shutil.copyfile(entry.weights, folder / "weights.safetensors")
    write_json(arguments.output, result)
