"""The spatial steps for the runs of one shard."""

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
from voxnas.data.fmri.source import optional_path
from voxnas.data.fmri.spatial import process_run
from voxnas.data.index_files import read_index
from voxnas.io.records import write_json

SMALLEST_MM = 2.0  # smallest voxel size in the template's space, the size of the template's own maps


def write_spatial_shard(steps: Sequence[str], index: str | Path, shard: int, shards: int, output: str | Path) -> None:
    """Process the raw runs of one shard by the spatial steps; other runs are skipped.

    Parameters
    ----------
    steps : sequence of str
        The setting ``bold.spatial``. Without steps, no run is processed.
    index : path
        Folder with scans.tsv and sidecars.json.
    shard, shards : int
        Number of this shard, from 0, and number of shards: head h of :func:`number_heads` is in shard ``h % shards``.
    output : path
        Folder for the BIDS derivatives and ``runs.json``: by scan, the record of :func:`process_run`, or
        ``{"excluded": REASON}`` for an unusable run.

    Raises
    ------
    UserError
        If the shard does not exist.
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
    """Select the rows of scans.tsv that are raw images of runs, neither preprocessed nor series of regions."""
    image = scans["image"].astype(str)
    return (scans["preprocessed"] != "yes") & image.str.endswith((".nii", ".nii.gz")) & (scans["frames"] > 1)


def study_spacing(scans: pd.DataFrame) -> float:
    """Return the edge in mm of a cubic voxel of the runs' median voxel volume, rounded to 0.1 mm, at least 2 mm."""
    volumes = [np.prod([float(n) for n in str(s).split("x")]) for s in scans["spacing"].dropna() if s]
    edge = float(np.median(volumes)) ** (1 / 3) if volumes else SMALLEST_MM
    return max(SMALLEST_MM, round(edge, 1))


def number_heads(scans: pd.DataFrame, steps: Sequence[str]) -> NDArray[np.int64]:
    """Number the heads of the runs, (N,), from 0: runs with one T1-weighted image share a head, other runs do not.

    The first run of a head determines the image's transform to the template, independent of the number of shards.
    """
    heads = [_anatomical(row, steps) or Path(str(row["scan"])) for row in scans.to_dict("records")]
    return pd.factorize(np.array(heads, dtype=object))[0]


def _anatomical(row: Mapping[Hashable, Any], steps: Sequence[str]) -> Path | None:
    """Return the path of the participant's T1-weighted image, if it exists and the step is wanted."""
    return optional_path(row.get("anatomical")) if "anatomical" in steps else None


def _anatomy(row: Mapping[Hashable, Any], steps: Sequence[str], last: Anatomy | None) -> Anatomy | None:
    """Load the T1-weighted image; consecutive runs of one head share it."""
    path = _anatomical(row, steps)
    if path is None:
        return None
    return last if last and last.path == path else load_anatomy(path)
