"""``voxnas propose``: write the proposal of one step of a search."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--search", required=True, metavar="NAME", help="name of the search, such as bayesian")
    parser.add_argument("--step", type=int, required=True, metavar="K", help="number of the step, from 0")
    parser.add_argument("--output", required=True, metavar="FILE", help="proposal.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Propose and write the record."""
    from voxnas.io.records import write_json
    from voxnas.search.propose import make_proposal

    proposal = make_proposal(arguments.study, arguments.search, arguments.step)
    write_json(arguments.output, proposal)
    what = "idle, the search space is exhausted" if proposal.idle else f"{proposal.origin} {proposal.key}"
    print(f"{arguments.search} step {arguments.step}: {what}")
