"""``voxnas trainings``: write the table of all trainings at full budget."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--seeds", type=int, required=True, metavar="N", help="seeds of each network")
    parser.add_argument("--output", required=True, metavar="FILE", help="networks.tsv to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the table."""
    from voxnas.benchmark.trainings import trainings_table
    from voxnas.io.tables import write_table

    write_table(arguments.output, trainings_table(arguments.study, arguments.seeds))
