"""``voxnas summarize``: write the table of the trials of a search."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--search", required=True, metavar="NAME", help="name of the search")
    parser.add_argument(
        "--steps", type=int, metavar="K", help="number of steps to list; default: all steps that have a result"
    )
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="trials.tsv to write")


def run(arguments: argparse.Namespace) -> None:
    """Read the records and write the table."""
    from voxnas.core.paths import StudyPaths
    from voxnas.io.tables import write_table
    from voxnas.search.chain import finished_steps, read_chain
    from voxnas.search.summary import trials_table

    paths, steps = StudyPaths(arguments.study), arguments.steps
    steps = finished_steps(paths, arguments.search) if steps is None else steps
    chain = read_chain(paths, arguments.search, steps, steps)
    write_table(arguments.output, trials_table(chain))
