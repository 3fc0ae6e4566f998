"""``voxnas summarize``: write the table of the trials of a search, and its front."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--search", required=True, metavar="NAME", help="name of the search")
    parser.add_argument(
        "--steps", type=int, metavar="K", help="number of steps to list; default: all steps that have a result"
    )
    parser.add_argument("--output", required=True, metavar="FILE", help="trials.tsv to write")
    parser.add_argument("--front", metavar="FILE", help="front.tsv to write")


def run(arguments: argparse.Namespace) -> None:
    """Read the records and write the table."""
    from voxnas.io.tables import write_table
    from voxnas.search.chain import finished_steps, read_chain
    from voxnas.search.propose import Search
    from voxnas.search.summary import front_table, trials_table

    paths, steps = arguments.study, arguments.steps
    steps = finished_steps(paths, arguments.search) if steps is None else steps
    chain = read_chain(paths, arguments.search, steps, steps)
    search = Search.read(paths, arguments.search)
    table = trials_table(chain, search)
    write_table(arguments.output, table)
    if arguments.front:
        write_table(arguments.front, front_table(table, search.objectives))
