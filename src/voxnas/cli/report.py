"""``voxnas report``: write the HTML report of a study."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    parser.add_argument("--study", required=True, metavar="DIR", help="results/<study>")
    parser.add_argument("--output", required=True, metavar="FILE", help="page to write (HTML)")


def run(arguments: argparse.Namespace) -> None:
    """Render and write the page."""
    from voxnas.core.paths import StudyPaths
    from voxnas.io.records import write_text
    from voxnas.report.html import render_report

    write_text(arguments.output, render_report(StudyPaths(arguments.study)))
    print(f"wrote {arguments.output}")
