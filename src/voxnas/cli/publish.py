"""``voxnas publish``: copy the tables and figures of a study, with their provenance."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the verb's arguments."""
    parser.add_argument("--study", required=True, type=Path, help="folder of the study")
    parser.add_argument("--output", required=True, type=Path, help="folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Copy the files."""
    from voxnas.report.publish import publish_study

    publish_study(arguments.study, arguments.output)
