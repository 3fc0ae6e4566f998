"""The spatial steps over the runs of one shard."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from voxnas.core.errors import ScanError, UserError
from voxnas.data.fmri.anatomy import Anatomy, load_anatomy
from voxnas.data.fmri.derivatives import describe_dataset
from voxnas.data.fmri.registration import template_grid
from voxnas.data.fmri.spatial import process_run
from voxnas.data.index_files import read_index
from voxnas.io.records import write_json

SMALLEST_MM = 2.0  # voxels of the series in the template's space: its own maps are not finer


def write_spatial_shard(steps: Sequence[str], index: str | Path, shard: int, shards: int, output: str | Path) -> None:
    """Put the raw runs of one shard through the spatial steps; others are passed over.

    Parameters
    ----------
    steps : sequence of str
        The setting ``bold.spatial``. Without any, no run is touched.
    index : path
        Folder with scans.tsv and sidecars.json.
    shard, shards : int
        Number of this shard, from 0, and their count: head h of :func:`number_heads` is in shard ``h % shards``.
    output : path
        Folder for the BIDS derivatives and ``runs.json``: by scan, what :func:`process_run` returns, or
        ``{"excluded": REASON}`` for a run that cannot be used.

    Raises
    ------
    UserError
        If there is no such shard.
    """
    if not 0 <= shard < shards:
        raise UserError(f"there is no shard {shard} of {shards}", f"choose 0 to {shards - 1}")
    output = Path(output)
    found = read_index(Path(index))
    raw = found.scans[is_raw(found.scans)] if steps else found.scans[:0]
    heads = number_heads(raw, steps)
    order = np.argsort(heads, kind="stable")
    mine = raw.iloc[order[heads[order] % shards == shard]]
    records: dict[str, Any] = {}
    grid = template_grid(study_spacing(raw)) if len(mine) else None
    anatomy: Anatomy | None = None
    for row in mine.to_dict("records"):
        scan = str(row["scan"])
        try:
            anatomy = _anatomy(row, steps, anatomy)
            seconds = float(row["repetition_time"])
            if not seconds > 0:
                raise ScanError(f"{row['image']}: no repetition time", "add RepetitionTime, in seconds, to the sidecar")
            sidecar = found.sidecars.get(scan, {})
            assert grid is not None
            records[scan] = process_run(Path(row["image"]), sidecar, seconds, steps, anatomy, grid, output)
        except ScanError as error:
            records[scan] = {"excluded": str(error)}
        print(f"{scan}: {records[scan].get('excluded') or 'done'}", flush=True)
    describe_dataset(output)
    write_json(output / "runs.json", records)


def is_raw(scans: pd.DataFrame) -> pd.Series:
    """Which rows of scans.tsv are raw images of runs, and neither preprocessed nor series of regions."""
    image = scans["image"].astype(str)
    return (scans["preprocessed"] != "yes") & image.str.endswith((".nii", ".nii.gz")) & (scans["frames"] > 1)


def study_spacing(scans: pd.DataFrame) -> float:
    """Edge in mm of a cubic voxel that is as large as the runs' are (median), to a tenth, and at least 2 mm."""
    volumes = [np.prod([float(n) for n in str(s).split("x")]) for s in scans["spacing"].dropna() if s]
    edge = float(np.median(volumes)) ** (1 / 3) if volumes else SMALLEST_MM
    return max(SMALLEST_MM, round(edge, 1))


def number_heads(scans: pd.DataFrame, steps: Sequence[str]) -> NDArray[np.int64]:
    """Number of the head of each run, (N,), from 0: runs with one T1-weighted image show one, any other run its own.

    The image's way to the template is found with its first run, once: how many shards there are must not change it.
    """
    heads = [_anatomical(row, steps) or Path(str(row["scan"])) for row in scans.to_dict("records")]
    return pd.factorize(np.array(heads, dtype=object))[0]


def _anatomical(row: Mapping[Hashable, Any], steps: Sequence[str]) -> Path | None:
    """The T1-weighted image of a run's participant, if there is one and it is wanted."""
    path = row.get("anatomical")
    return None if "anatomical" not in steps or path is None or pd.isna(path) or not path else Path(path)


def _anatomy(row: Mapping[Hashable, Any], steps: Sequence[str], last: Anatomy | None) -> Anatomy | None:
    """The same, loaded; the runs of one head follow each other and share it."""
    path = _anatomical(row, steps)
    if path is None:
        return None
    return last if last and last.path == path else load_anatomy(path)
