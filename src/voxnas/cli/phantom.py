"""``voxnas phantom``: generate the synthetic data set."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--spec", required=True, help="spec/index.json of the study")
    parser.add_argument("--output", required=True, help="folder of the BIDS data set to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the data set, as BOLD runs if the study reads BOLD, else as single volumes."""
    from voxnas.core.seeds import derive_seed
    from voxnas.core.spec import IndexSpec
    from voxnas.data.phantom import generate_phantom
    from voxnas.data.phantom_bold import generate_bold_phantom
    from voxnas.io.records import read_record

    spec = read_record(arguments.spec, IndexSpec)
    phantom, seed = spec.data.phantom, derive_seed(spec.seed, "phantom")
    if spec.data.suffix == "bold":
        generate_bold_phantom(arguments.output, phantom.participants, phantom.spacing, seed)
    else:
        generate_phantom(arguments.output, spec.task, phantom.participants, phantom.spacing, seed)
