"""``voxnas report``: write the HTML report of a study."""

import argparse

from voxnas.core.paths import StudyPaths


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", type=StudyPaths, required=True, metavar="DIR", help="folder of the study")
    parser.add_argument("--output", required=True, metavar="FILE", help="page to write (HTML)")


def run(arguments: argparse.Namespace) -> None:
    """Render and write the page."""
    from voxnas.io.records import write_text
    from voxnas.report.html import render_report

    write_text(arguments.output, render_report(arguments.study))
    print(f"wrote {arguments.output}")
