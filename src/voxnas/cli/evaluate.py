"""``voxnas evaluate``: score a network on the locked test split."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", required=True, metavar="DIR", help="results/<study>")
    parser.add_argument("--key", required=True, help="key of the network")
    parser.add_argument("--seeds", required=True, type=int, metavar="N", help="number of trainings of the network")
    parser.add_argument("--output", required=True, metavar="FILE", help="table of cases to write")


def run(arguments: argparse.Namespace) -> None:
    """Evaluate and write the table."""
    from voxnas.benchmark.evaluate import evaluate_network
    from voxnas.core.paths import StudyPaths
    from voxnas.io.tables import write_table

    write_table(arguments.output, evaluate_network(StudyPaths(arguments.study), arguments.key, arguments.seeds))
