"""``voxnas replay``: recompute the proposals of a search from its files and compare them with the recorded proposals.

Must run in the working folder of Snakemake. Exit status 1: at least one proposal differs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

EXAMPLE = "example: voxnas replay config/studies/hippocampus.yaml --search bayesian"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    from voxnas.cli.main import add_study

    parser.epilog = EXAMPLE
    add_study(parser)
    parser.add_argument("--search", metavar="NAME", help="name of one search, such as bayesian; default: all searches")


def run(arguments: argparse.Namespace) -> int:
    """Replay the searches and print one line for each."""
    from voxnas.core.errors import UserError
    from voxnas.core.paths import StudyPaths
    from voxnas.core.study_files import find_study
    from voxnas.operate.replay import replay

    _, name = find_study(Path.cwd(), arguments.study)
    paths = StudyPaths(Path.cwd() / "results" / name)
    searches = sorted(folder.name for folder in (paths.root / "search").glob("*") if folder.is_dir())
    if arguments.search:
        if arguments.search not in searches:
            raise UserError(
                f"{paths.root} has no search {arguments.search!r}", f"it has: {', '.join(searches) or 'none'}"
            )
        searches = [arguments.search]
    if not searches:
        raise UserError(f"{paths.root} has no search", "run the study first")
    replays = [replay(paths, search) for search in searches]
    for one in replays:
        print(one)
    return int(any(one.differences for one in replays))
