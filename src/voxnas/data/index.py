"""The index of a data set: every scan that can be used with its facts, every other with its reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import DataSettings
from voxnas.data.bids import is_bids, read_bids
from voxnas.data.layout import Candidate, Layout, stem
from voxnas.data.limit import limit_scans
from voxnas.data.medmnist import is_medmnist, read_medmnist
from voxnas.data.msd import is_msd, read_msd
from voxnas.data.quality import check_bold, check_volumes, check_voxels
from voxnas.io.nifti import (
    SHIFT_TOLERANCE,
    SUFFIXES,
    HeaderFacts,
    check_integrity,
    header_facts,
    load_label,
    open_image,
    read_voxels,
    shift_in_voxels,
)
from voxnas.io.npz import is_volume, read_volume

SCHEMA_VERSION = 1
COLUMNS = [
    *("scan", "participant", "session", "site", "image", "label", "shape", "spacing", "orientation", "dtype"),
    *("channels", "frames", "target", "sha256", "warnings"),
]
MAX_LABELS = 1000  # more values than this is an image, not a label map


@dataclass(frozen=True)
class Index:
    """What :func:`index_dataset` found.

    Attributes
    ----------
    scans : DataFrame
        One row for each scan that can be used, sorted by scan (columns :data:`COLUMNS`).
    excluded : DataFrame
        Columns scan, file, reason.
    dataset : dict
        Name, layout, channels, labels, classes and counts.
    values : dict of str to list of int
        Label values that occur in each scan (segmentation).
    """

    scans: pd.DataFrame
    excluded: pd.DataFrame
    dataset: dict[str, Any]
    values: dict[str, list[int]]


def dataset_root(root: str | Path, settings: DataSettings) -> Path:
    """The data set's folder: ``data.folder`` inside the data root where it exists, else the root itself."""
    root = Path(root).expanduser().absolute()
    if settings.folder and (root / settings.folder).exists():
        return root / settings.folder
    if not root.is_dir() and not is_medmnist(root):
        raise UserError(f"data_root {root} is not a folder", "set data_root to the folder of the data set")
    return root


def find_layout(root: Path, layout: str = "auto") -> str:
    """``msd``, ``bids`` or ``npz``, by what lies in the folder; UserError if nothing of them does."""
    kinds = {"msd": is_msd, "bids": is_bids, "npz": is_medmnist}
    fitting = [kind for kind, check in kinds.items() if layout in ("auto", kind) and check(root)]
    if fitting:
        return fitting[0]
    wanted = {
        "msd": "a dataset.json (MSD, nnU-Net)",
        "bids": "folders sub-* (BIDS)",
        "npz": "an .npz archive with volumes (MedMNIST)",
        "auto": "a dataset.json (MSD, nnU-Net), folders sub-* (BIDS) or an .npz archive with volumes (MedMNIST)",
    }
    folders = [p for p in sorted(root.iterdir()) if p.is_dir()] if root.is_dir() else []
    inside = [p.name for p in folders if any(check(p) for check in kinds.values())]
    hint = f"these folders in it are data sets: {', '.join(inside)}" if inside else "check data_root and data.layout"
    raise UserError(f"{root} has no {wanted[layout].removeprefix('an ').removeprefix('a ')}", hint)


def read_layout(root: Path, task: str | None, settings: DataSettings) -> Layout:
    """Read a data set of any layout, without opening a scan."""
    kind = find_layout(root, settings.layout)
    if kind == "bids":
        return read_bids(root, task, settings)
    if kind == "npz":
        if task == "segmentation":
            raise UserError(f"{root} is an archive of volumes, which has no label maps", "set task: classification")
        return read_medmnist(root, settings)
    if task in ("classification", "regression"):
        raise UserError(f"{root} has the MSD layout, which has no targets for {task}", "bring the data set into BIDS")
    return read_msd(root)


def index_dataset(root: str | Path, task: str, data_settings: DataSettings, seed: int = 0) -> Index:
    """Index a data set for a study.

    Every file is read to its end once, so that a scan in the index can be relied upon.

    Parameters
    ----------
    root : path
        The data root; `data_settings.folder` is looked for in it.
    task : {"segmentation", "classification", "regression"}
        Task.
    data_settings : DataSettings
        How to read it.
    seed : int
        The study's seed, by which scans are drawn where `data_settings.limit` leaves some out.

    Raises
    ------
    UserError
        If the data set cannot be read as told, no scan is left, or a classification has one class.
    ScanError
        With `data_settings.strict`, at the first scan that cannot be used.
    """
    folder = dataset_root(root, data_settings)
    layout = read_layout(folder, task, data_settings)
    if data_settings.limit:
        kept = limit_scans(layout.candidates, data_settings.limit, task == "classification", seed)
        layout = replace(layout, candidates=kept)
    index = index_layout(layout, task, data_settings)
    if index.scans.empty:
        scan, file, reason = index.excluded.iloc[0]
        raise UserError(
            f"{folder}: none of {len(index.excluded)} scans can be used; {scan} ({file}): {reason}",
            f"'voxnas validate {folder}' lists all",
        )
    if task == "classification" and len(index.dataset["classes"]) < 2:
        only = index.dataset["classes"][0]
        raise UserError(f"{folder}: column {data_settings.target!r} has one class, {only!r}", "choose another target")
    return index


def index_files(files: list[Path], strict: bool = False) -> Index:
    """Index image files that belong to no data set, each on its own."""
    names = Counter(stem(f) for f in files)
    candidates = [
        Candidate(scan=stem(f) if names[stem(f)] == 1 else str(f), participant="", images=(f,), last_axis="unknown")
        for f in files
    ]
    return index_layout(Layout("files", "", candidates, ["image"]), None, DataSettings(strict=strict))


def is_image(path: Path) -> bool:
    """Whether the name is that of an image file."""
    return path.name.endswith(SUFFIXES) and not path.name.startswith(".")


def index_layout(layout: Layout, task: str | None, settings: DataSettings) -> Index:
    """Open the scans of a layout; with no task, the images alone."""
    repeated = [name for name, count in Counter(c.scan for c in layout.candidates).items() if count > 1]
    if repeated:
        files = [str(c.images[0]) for c in layout.candidates if c.scan == repeated[0]]
        raise UserError(f"two images have the id {repeated[0]!r}: {files[0]} and {files[1]}", "rename or remove one")
    rows, excluded, values = [], [], {}
    for candidate in sorted(layout.candidates, key=lambda c: c.scan):
        try:
            row, found = _read_scan(candidate, layout, task == "segmentation")
        except ScanError as error:
            if settings.strict:
                raise
            files = [str(p) for p in (*candidate.images, candidate.label) if p is not None]
            file = next((f for f in files if error.what.startswith(f"{f}: ")), files[0])
            reason = error.what.removeprefix(f"{file}: ") + (f"; {error.remedy}" if error.remedy else "")
            excluded.append({"scan": candidate.scan, "file": file, "reason": reason})
        else:
            rows.append(row)
            if task == "segmentation":
                values[candidate.scan] = found
    scans = pd.DataFrame(rows, columns=COLUMNS)
    labels = layout.labels or {v: _label_name(v) for v in sorted({0}.union(*values.values()))}
    dataset = {
        "schema_version": SCHEMA_VERSION,
        "name": layout.name,
        "layout": layout.kind,
        "task": task or "",
        "channels": layout.channels,
        "labels": {str(v): name for v, name in labels.items()} if task == "segmentation" else {},
        "classes": sorted(set(scans["target"])) if task == "classification" else [],
        "target": settings.target if task in ("classification", "regression") else "",
        "scans": len(scans),
        "excluded": len(excluded),
    }
    return Index(scans, pd.DataFrame(excluded, columns=["scan", "file", "reason"]), dataset, values)


def _label_name(value: int) -> str:
    return f"label {value}" if value else "background"


def _read_scan(candidate: Candidate, layout: Layout, with_label: bool) -> tuple[dict[str, Any], list[int]]:
    """Row of one scan, and the label values in it; ScanError if it cannot be used."""
    first = candidate.images[0]
    if candidate.problem:
        raise ScanError(f"{first}: {candidate.problem}")
    if any(c in str(p) for p in candidate.images for c in ";\t\n"):
        raise ScanError(f"{first}: the path holds a semicolon, tab or line break", "rename it")
    image = open_image(first)
    facts = header_facts(image)
    warnings = list(facts.warnings)
    channels, frames = _last_axis(candidate, facts, len(layout.channels))
    for path in candidate.images:
        other = open_image(path)
        if other.shape[:3] != image.shape[:3]:
            raise ScanError(f"{path}: shape {_times(other.shape[:3])}, but {first.name} has {_times(image.shape[:3])}")
        _check_grid(path, first, other, image)
        warnings += _voxel_warnings(path, other, candidate)
    values: list[int] = []
    if with_label and candidate.label is not None:
        values = _check_label(candidate.label, first, image, layout.labels or None)
        if values == [0]:
            warnings.append("the label map is empty (no foreground)")
    row = {
        "scan": candidate.scan,
        "participant": candidate.participant,
        "session": candidate.session or None,
        "site": candidate.site or None,
        "image": ";".join(map(str, candidate.images)),
        "label": str(candidate.label) if with_label else None,
        "shape": _times(facts.shape[:3]),
        "spacing": "x".join(f"{s:.6g}" for s in facts.spacing) if facts.spacing else "?",
        "orientation": facts.orientation,
        "dtype": facts.dtype,
        "channels": channels,
        "frames": frames,
        "target": candidate.target,
        "sha256": _digest([*candidate.images, *([candidate.label] if with_label and candidate.label else [])]),
        "warnings": ";".join(w.replace(";", ",") for w in dict.fromkeys(warnings)) or None,
    }
    return row, values


def _last_axis(candidate: Candidate, facts: HeaderFacts, expected: int) -> tuple[int, int]:
    """Numbers of channels and of frames; what the last axis means is never guessed from its length."""
    first = candidate.images[0]
    extent = facts.shape[3] if len(facts.shape) == 4 else 1
    if len(candidate.images) > 1:
        if extent > 1:
            raise ScanError(f"{first}: a 4D image, but every channel has a file of its own")
        return len(candidate.images), 1
    if candidate.last_axis == "channel":
        if extent != expected:
            raise ScanError(f"{first}: {extent} channel(s) in the last axis, but dataset.json names {expected}")
        return extent, 1
    if candidate.last_axis == "time":
        return 1, extent
    if candidate.last_axis == "none" and extent > 1:
        raise ScanError(f"{first}: 4D with {extent} volumes, but this kind of image has no time axis")
    return 1, extent


def _voxel_warnings(path: Path, image: nib.spatialimages.SpatialImage, candidate: Candidate) -> list[str]:
    check_integrity(path)
    voxels = read_voxels(image, path)
    warnings = check_voxels(voxels)
    if voxels.ndim < 4 or any(w.startswith("all voxels") for w in warnings):
        return warnings
    if candidate.last_axis == "unknown":
        warnings.append(f"4D with {voxels.shape[3]} volumes, channels or time is not known here")
    if candidate.last_axis != "time":
        return warnings + check_volumes(voxels)
    unit = {"msec": 1e-3, "usec": 1e-6}.get(image.header.get_xyzt_units()[1], 1.0)
    return warnings + check_bold(voxels, float(image.header.get_zooms()[3]) * unit, candidate.repetition_time)


def _check_label(
    path: Path, first: Path, image: nib.spatialimages.SpatialImage, known: Collection[int] | None
) -> list[int]:
    """Values of a label map that fits its image; ScanError if it does not."""
    label = open_image(path)
    if label.shape[:3] != image.shape[:3]:
        raise ScanError(
            f"{path}: shape {_times(label.shape[:3])} differs from {_times(image.shape[:3])} of its image {first.name}"
        )
    _check_grid(path, first, label, image)
    values = [int(v) for v in np.unique(load_label(path, known))]
    if len(values) > MAX_LABELS:
        raise ScanError(f"{path}: {len(values)} different values, this is not a label map")
    return values


def _check_grid(
    path: Path, first: Path, other: nib.spatialimages.SpatialImage, image: nib.spatialimages.SpatialImage
) -> None:
    """Raise if two files of one shape lie in different places."""
    shift = shift_in_voxels(image.affine, other.affine, image.shape[:3])
    if shift > SHIFT_TOLERANCE:
        raise ScanError(f"{path}: lies {shift:.3g} voxels away from {first.name} (their affines differ)")


def _times(shape: Collection[int]) -> str:
    return "x".join(str(int(n)) for n in shape)


def _digest(paths: list[Path]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        if is_volume(path):
            digest.update(read_volume(path).tobytes())
            continue
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
    return digest.hexdigest()
