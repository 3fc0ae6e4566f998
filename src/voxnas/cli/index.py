"""``voxnas index``: index the scans of a data set for a study."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

# Column of the phantom's participants.tsv for each task that needs one, unless the study names another.
PHANTOM_TARGETS = {"classification": "group", "regression": "age"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the verb's arguments."""
    parser.add_argument("--spec", type=Path, required=True, help="spec of the stage (JSON)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data set")
    parser.add_argument("--output", type=Path, required=True, help="folder for scans.tsv, excluded.tsv, dataset.json")


def run(arguments: argparse.Namespace) -> None:
    """Write the index; what is excluded goes to stderr too."""
    from voxnas.core.settings import DataSettings
    from voxnas.data.index import index_dataset
    from voxnas.io.records import read_json, write_json
    from voxnas.io.tables import write_table

    spec = read_json(arguments.spec)
    data = DataSettings.model_validate(spec["data"])
    if not spec["data_root"] and not data.target:
        data = data.model_copy(update={"target": PHANTOM_TARGETS.get(spec["task"], "")})
    index = index_dataset(arguments.data, spec["task"], data, spec["seed"])
    for row in index.excluded.itertuples():
        print(f"excluded {row.scan} ({row.file}): {row.reason}", file=sys.stderr)
    write_table(arguments.output / "scans.tsv", index.scans)
    write_table(arguments.output / "excluded.tsv", index.excluded)
    write_json(arguments.output / "dataset.json", index.dataset)
    print(f"{len(index.scans)} scans indexed, {len(index.excluded)} excluded")
