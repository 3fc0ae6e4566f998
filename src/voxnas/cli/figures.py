"""``voxnas figures``: draw the figures of a study, each with its table."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", required=True, metavar="DIR", help="results/<study>")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Draw all figures."""
    from pathlib import Path

    from voxnas.core.paths import StudyPaths
    from voxnas.report.figures import draw_figures

    print("drew " + ", ".join(draw_figures(StudyPaths(arguments.study), Path(arguments.output))))
