"""``voxnas discover``: run a search that is a single job and write its networks as proposals with results."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--search", required=True, metavar="NAME", help="name of the search")


def run(arguments: argparse.Namespace) -> None:
    """Run the search and write its records to search/NAME/steps."""
    from voxnas.search.job import run_job

    found = run_job(arguments.study, arguments.search)
    print(f"{arguments.search}: {found} networks")
