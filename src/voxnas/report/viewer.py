"""Volumes of the slice viewer: the worst, the median and the best test scan of the winner, with both label maps."""

import base64
import zlib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import winning_network
from voxnas.core.paths import StudyPaths
from voxnas.data.preprocess import nonzero_box
from voxnas.io.nifti import load_array, load_label
from voxnas.io.records import read_json, read_plan, write_json
from voxnas.io.tables import read_table, table_rows
from voxnas.report.style import spread_rows

MOST_VOXELS = 400_000  # of a scan in the page, so that three scans take 1.6 MB at most
CONTEXT = 20.0  # mm around the labels of a scan that is cropped
NAMES = ("worst", "median", "best")


def write_viewer(paths: StudyPaths, file: Path) -> None:
    """Write the volumes of the viewer of a segmentation: the scans with the worst, median and best Dice of seed 0.

    The volumes are oriented to R, A, S. A scan of more than `MOST_VOXELS` is cropped to its labels with a margin, and
    if still larger it keeps every n-th voxel.
    """
    table = results.cases(paths.cases(winning_network(paths).key), "segmentation")
    table = table[table.seed == "0"].sort_values(["dice", "scan"], ignore_index=True)
    index = read_table(paths.scans, {"scan": str, "image": str, "label": str}).set_index("scan")
    labels = read_plan(paths.plan).labels
    values = [value for value in sorted(map(int, labels)) if value]
    chosen = spread_rows(table, len(NAMES))
    names = NAMES if len(chosen) == len(NAMES) else ("",) * len(chosen)
    scans = [
        {"name": name, **_pack(row, index.loc[row.scan], paths.cases(row.key).parent / "predictions", values)}
        for name, row in zip(names, table_rows(chosen), strict=True)
    ]
    write_json(file, {"labels": [labels[str(value)] for value in values], "scans": scans})


def read_viewer(paths: StudyPaths) -> dict[str, Any] | None:
    """Read the volumes of the viewer; None for a study without."""
    file = paths.figures / "viewer.json"
    return read_json(file) if file.is_file() else None


def _pack(row: Any, files: pd.Series, predictions: Path, values: list[int]) -> dict[str, Any]:
    voxels, affine = load_array(files.image.split(";")[0])
    image = _canonical(voxels if voxels.ndim == 3 else voxels[..., 0], affine)
    maps = [load_label(file).astype(np.int16) for file in (files.label, predictions / f"{row.scan}.nii.gz")]
    truth, prediction = (np.asanyarray(_canonical(labels, affine).dataobj) for labels in maps)
    part = _shown((truth > 0) | (prediction > 0), np.array(image.header.get_zooms()[:3]))
    steps, starts = np.array([one.step for one in part]), np.array([one.start for one in part])
    volume = np.asanyarray(image.dataobj)
    low, high = np.percentile(volume, (0.5, 99.5))
    grey = np.clip((volume[part] - low) / max(high - low, 1e-6) * 255, 0, 255)
    own = image.affine @ np.block([[np.diag(steps), starts[:, None]], [np.zeros((1, 3)), np.ones((1, 1))]])
    return {
        "scan": row.scan,
        "dice": round(float(row.dice), 4),
        "shape": list(grey.shape),
        "affine": np.round(own[:3], 4).tolist(),
        "image": _text(grey),
        "truth": _text(np.searchsorted(values, truth[part]) + (truth[part] > 0)),
        "prediction": _text(np.searchsorted(values, prediction[part]) + (prediction[part] > 0)),
    }


def _canonical(array: np.ndarray, affine: np.ndarray) -> Any:
    return nib.as_closest_canonical(nib.Nifti1Image(array, affine))


def _shown(labelled: np.ndarray, spacing: np.ndarray) -> tuple[slice, ...]:
    """Part of a volume in the page, as slices with a common step."""
    part = [(0, size) for size in labelled.shape]
    if labelled.size > MOST_VOXELS:
        margins = np.ceil(CONTEXT / spacing).astype(int)
        edges = zip(nonzero_box(labelled[None]), margins, labelled.shape, strict=True)
        part = [(max(0, start - margin), min(size, stop + margin)) for (start, stop), margin, size in edges]
    step = 1
    while np.prod([-(-(stop - start) // step) for start, stop in part]) > MOST_VOXELS:
        step += 1
    return tuple(slice(int(start), int(stop), step) for start, stop in part)


def _text(array: np.ndarray) -> str:
    """Compress an array to text: bytes in C order, deflated (zlib), base64."""
    return base64.b64encode(zlib.compress(np.ascontiguousarray(array.astype(np.uint8)).tobytes(), 9)).decode()
