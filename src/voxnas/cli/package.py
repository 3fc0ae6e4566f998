"""``voxnas package``: write the model folder of the winner."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", required=True, metavar="DIR", help="results/<study>")
    parser.add_argument("--output", required=True, metavar="DIR", help="model folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the model."""
    from voxnas.core.paths import StudyPaths
    from voxnas.report.package import write_model

    write_model(StudyPaths(arguments.study), arguments.output)
    print(f"wrote {arguments.output}; apply it: voxnas predict --model {arguments.output} --input SCANS --output OUT")
