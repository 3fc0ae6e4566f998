"""``voxnas collect``: join the leaderboards of all studies in one table."""

import argparse
from pathlib import Path

# Printed columns; the other columns only fit a file.
SHOWN = ("study", "rank", "name", "winner", "parameters", "macs", "latency_ms", "test_score", "low", "high")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--results", type=Path, default=Path("results"), metavar="DIR", help="folder of the studies")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the table with all columns as TSV")


def run(arguments: argparse.Namespace) -> None:
    """Collect, print and write the table."""
    from voxnas.io.tables import write_table
    from voxnas.report.collect import collect_leaderboards

    table = collect_leaderboards(arguments.results)
    shown = table[[name for name in SHOWN if name in table]]
    print(shown.fillna("n/a").to_string(index=False))
    if arguments.output is not None:
        write_table(arguments.output, table)
    elif len(shown.columns) < len(table.columns):
        print(f"{len(table.columns) - len(shown.columns)} more columns: --output FILE writes all")
