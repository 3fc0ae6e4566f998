"""The files of an index: scans.tsv, excluded.tsv, dataset.json and, for runs, sidecars.json."""

from pathlib import Path

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
    """Read an index of :func:`write_index`; the label values of each scan are not stored."""
    sidecars = folder / "sidecars.json"
    return Index(
        scans=read_table(folder / "scans.tsv", {"scan": str, "target": str} | DTYPES),
        excluded=read_table(folder / "excluded.tsv", dict.fromkeys(EXCLUDED, str)),
        dataset=read_json(folder / "dataset.json"),
        sidecars=read_json(sidecars) if sidecars.exists() else {},
    )
