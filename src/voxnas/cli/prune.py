"""``voxnas prune``: remove channels of the winner, for networks that are fine-tuned from its weights."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="pruned.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Prune and write the records."""
    from voxnas.benchmark.prune import prune_networks
    from voxnas.cli.derive import write_networks
    from voxnas.core.paths import StudyPaths
    from voxnas.core.spec import PruneSpec
    from voxnas.io.records import read_record

    paths = StudyPaths(arguments.study)
    write_networks(arguments.output, prune_networks(paths, read_record(paths.spec("prune"), PruneSpec)))
