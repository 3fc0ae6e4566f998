"""``voxnas figures``: draw the figures of a study, each with its table."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write")


def run(arguments: argparse.Namespace) -> None:
    """Draw all figures."""
    from pathlib import Path

    from voxnas.report.figures import draw_figures

    print("drew " + ", ".join(draw_figures(arguments.study, Path(arguments.output))))
