"""The files of an index: scans.tsv, excluded.tsv, dataset.json and, for runs, sidecars.json."""

from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.data.index import EXCLUDED, Index
from voxnas.data.scan_rows import DTYPES
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import read_table, write_table


def write_index(folder: Path, index: Index) -> None:
    """Write an index into a folder; scans.tsv, the output that the workflow waits for, is written last."""
    if index.sidecars:
        write_json(folder / "sidecars.json", index.sidecars)
    write_json(folder / "dataset.json", index.dataset)
    write_table(folder / "excluded.tsv", index.excluded)
    write_table(folder / "scans.tsv", index.scans)


def read_index(folder: Path) -> Index:
    """Read an index of :func:`write_index`; the label values of each scan are not stored.

    Raises
    ------
    UserError
        If a file is missing, damaged or truncated.
    """
    sidecars = folder / "sidecars.json"
    index = Index(
        scans=read_table(folder / "scans.tsv", {"scan": str, "target": str} | DTYPES),
        excluded=read_table(folder / "excluded.tsv", dict.fromkeys(EXCLUDED, str)),
        dataset=read_json(folder / "dataset.json"),
        sidecars=read_json(sidecars) if sidecars.exists() else {},
    )
    check_rows(folder / "scans.tsv", index.scans, index.dataset["scans"])
    check_rows(folder / "excluded.tsv", index.excluded, index.dataset["excluded"])
    return index


def check_rows(path: Path, table: pd.DataFrame, expected: int) -> None:
    """Raise a UserError if a table of the index is truncated: its number of rows differs from that of dataset.json."""
    if len(table) != expected:
        raise UserError(
            f"{path} has {len(table)} rows, dataset.json counts {expected}", "delete it and run the stage index"
        )
