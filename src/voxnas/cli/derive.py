"""``voxnas derive``: derive networks from the winner, to be trained on all scans outside the test split."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voxnas.core.trial import Network


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", type=Path, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE", help="derived.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Derive and write the records."""
    from voxnas.benchmark.derive import derive_networks
    from voxnas.core.paths import StudyPaths
    from voxnas.core.spec import DeriveSpec
    from voxnas.io.records import read_record

    paths = StudyPaths(arguments.study)
    write_networks(arguments.output, derive_networks(paths, read_record(paths.spec("derive"), DeriveSpec)))


def write_networks(output: Path, networks: Sequence[Network]) -> None:
    """Write the records of `networks` that derive from the winner to the file `output`, and print their keys."""
    from voxnas.core.trial import SCHEMA_VERSION
    from voxnas.io.records import write_json

    write_json(output, {"schema_version": SCHEMA_VERSION, "networks": [network.plain() for network in networks]})
    for network in networks:
        print(f"{network.name}: {network.key}")
