"""``voxnas collect``: join the leaderboards of all studies in one table."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="folder of the studies")
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write the table as TSV")


def run(arguments: argparse.Namespace) -> None:
    """Collect, print and write the table."""
    from voxnas.io.tables import write_table
    from voxnas.report.collect import collect_leaderboards

    table = collect_leaderboards(arguments.results)
    print(table.fillna("n/a").to_string(index=False))
    if arguments.output is not None:
        write_table(arguments.output, table)
