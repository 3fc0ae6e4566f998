"""``voxnas derive``: derive networks from the winner, to be trained on all scans outside the test split."""

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="derived.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Derive and write the records."""
    from voxnas.benchmark.derive import derive_networks
    from voxnas.core.paths import StudyPaths
    from voxnas.core.spec import DeriveSpec
    from voxnas.core.trial import SCHEMA_VERSION
    from voxnas.io.records import read_record, write_json

    paths = StudyPaths(arguments.study)
    networks = derive_networks(paths, read_record(paths.spec("derive"), DeriveSpec))
    write_json(
        arguments.output, {"schema_version": SCHEMA_VERSION, "networks": [network.plain() for network in networks]}
    )
    for network in networks:
        print(f"{network.name}: {network.key}")
