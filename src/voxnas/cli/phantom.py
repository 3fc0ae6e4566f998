"""``voxnas phantom``: generate the embedded data set."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("--spec", required=True, help="spec/index.json of the study")
    parser.add_argument("--output", required=True, help="folder of the BIDS data set to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the data set."""
    from voxnas.core.seeds import derive_seed
    from voxnas.data.phantom import generate_phantom
    from voxnas.io.records import read_json

    spec = read_json(arguments.spec)
    settings = spec["data"]["phantom"]
    seed = derive_seed(spec["seed"], "phantom")
    generate_phantom(arguments.output, spec["task"], settings["participants"], settings["spacing"], seed)
