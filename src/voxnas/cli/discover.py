"""``voxnas discover``: run a search that is a single job and write its networks as proposals with results."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from voxnas.core.paths import StudyPaths

if TYPE_CHECKING:
    from voxnas.arch.families.supernet import Kept
    from voxnas.core.training import Supernet, Training
    from voxnas.search.base import Trained


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voxnas.cli.train import add_launch_arguments

    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--search", required=True, metavar="NAME", help="name of the search")
    add_launch_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run the search and write its records to search/NAME/steps; the exit statuses are those of ``voxnas train``."""
    from voxnas.search.job import run_job
    from voxnas.training import failures

    try:
        found = run_job(arguments.study, arguments.search, _Trainer(arguments))
    except failures.NoResult as end:
        if str(end):
            _log(f"voxnas discover: {end}")
        return end.status
    print(f"{arguments.search}: {found} networks")
    return 0


class _Trainer:
    """The trainings of a job (:class:`voxnas.search.base.Trainer`), with the processes of the command's arguments."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments

    def train(self, job: Training) -> Trained:
        from voxnas.cli.train import launch_options
        from voxnas.io.records import read_json
        from voxnas.search.base import Trained
        from voxnas.training import parent
        from voxnas.training.run_options import RunOptions

        found = parent.train(self.arguments.study, job, RunOptions(**launch_options(self.arguments)), _log)
        failure = found.outcome["reason"] if found.outcome["state"] == "FAILED" else ""
        if found.entry is None:
            return Trained("", None, {}, "", 0.0, failure)
        score, metrics = found.outcome["score"], found.outcome["metrics"]
        seconds = read_json(found.entry.run)["cpu_seconds"]
        return Trained(found.entry.name, score, metrics, found.entry.curve.read_text(), seconds, failure)

    def discretize(self, job: Supernet, digest: str) -> tuple[Kept, float]:
        from voxnas.training.discretize import discretize
        from voxnas.training.store import Entry

        return discretize(self.arguments.study, job, Entry(self.arguments.study.store / digest))


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
