"""``voxnas split``: split participants, sites, sessions, runs or blocks into the locked test split and the folds."""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument("--spec", required=True, help="spec/splits.json of the study")
    parser.add_argument("--index", required=True, help="folder with scans.tsv")
    parser.add_argument("--output", required=True, help="splits.json to write")


def run(arguments: argparse.Namespace) -> None:
    """Write the splits after a check for leakage."""
    from pathlib import Path

    from voxnas.core.spec import SplitsSpec
    from voxnas.data.blocks import block_table
    from voxnas.data.leaks import check_splits
    from voxnas.data.splits import make_splits
    from voxnas.data.units import twins_of
    from voxnas.io.records import read_json, read_record, write_json
    from voxnas.io.tables import read_table

    spec = read_record(arguments.spec, SplitsSpec)
    settings = spec.splits
    index = Path(arguments.index)
    scans = read_table(index / "scans.tsv", {"scan": str, "participant": str, "target": str})
    dataset = read_json(index / "dataset.json")
    if settings.unit == "block":
        scans = block_table(scans, dataset["target"])
    splits = make_splits(
        scans,
        spec.task,
        settings.test,
        settings.folds,
        spec.seed,
        settings.unit,
        settings.test_units,
        per_volume=dataset.get("unit") == "volume" and settings.unit != "block",
    )
    if settings.unit == "block":
        splits = splits.model_copy(update={"gap": settings.gap})
    check_splits(scans, splits)
    for names in twins_of(scans):
        print(f"{' and '.join(names)} have identical voxels and stay in one split")
    write_json(arguments.output, splits)
