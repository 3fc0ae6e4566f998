"""``voxnas exclude``: write the table of all exclusions, and stop a study without usable runs."""

import argparse
import sys
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=Path, required=True, metavar="DIR", help="results/<study>, preprocessed")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="excluded.tsv to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the table; the exclusions are also listed on stderr."""
    from voxnas.core.paths import StudyPaths
    from voxnas.data.exclusions import exclusions
    from voxnas.io.tables import table_rows, write_table

    table = exclusions(StudyPaths(arguments.study))
    for row in table_rows(table):
        print(f"excluded {row.scan} ({row.stage}): {row.reason}", file=sys.stderr)
    write_table(arguments.output, table)
