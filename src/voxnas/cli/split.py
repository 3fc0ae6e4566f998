"""``voxnas split``: split participants into the locked test set and the folds."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of the verb."""
    parser.add_argument("--spec", required=True, help="spec/splits.json of the study")
    parser.add_argument("--index", required=True, help="folder with scans.tsv")
    parser.add_argument("--output", required=True, help="splits.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the splits."""
    from pathlib import Path

    from voxnas.data.splits import make_splits
    from voxnas.io.records import read_json, write_json
    from voxnas.io.tables import read_table

    spec = read_json(arguments.spec)
    settings = spec["splits"]
    scans = read_table(Path(arguments.index) / "scans.tsv", {"scan": str, "participant": str, "target": str})
    splits = make_splits(scans, spec["task"], settings["test"], settings["folds"], spec["seed"])
    write_json(arguments.output, splits)
