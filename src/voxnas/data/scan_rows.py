"""One row of the index: the facts of a scan and the warnings about it, from one complete reading of its files."""

import hashlib
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from voxnas.core.errors import ScanError
from voxnas.data.layout import MAX_REPETITION_S, Candidate, Layout
from voxnas.data.quality import VoxelChecks
from voxnas.data.stimuli import event_types, number_blocks, read_events
from voxnas.data.timeseries import read_series
from voxnas.io.array_files import is_sample, read_sample
from voxnas.io.nifti import SHIFT_TOLERANCE, HeaderFacts, header_facts, label_values, open_image, shift_in_voxels
from voxnas.io.nifti_stream import read_pieces
from voxnas.io.npz import is_volume, read_volume
from voxnas.io.records import file_digest

COLUMNS = [
    *("scan", "participant", "session", "site", "image", "label", "shape", "spacing", "orientation", "dtype"),
    *("channels", "frames", "target", "sha256", "warnings"),
    *("task", "run", "repetition_time", "events", "confounds", "mask", "anatomical", "space", "preprocessed"),
    *("content", "anatomical_sha256", "subset"),
]
# Numeric columns of the table.
DTYPES: dict[str, type | str] = {"channels": int, "frames": int, "repetition_time": float}
MIN_FRAMES = 2
LEAST_BLOCKS = 4  # of events in a run whose standardisation gives no warning
_shared_digest = lru_cache(maxsize=64)(file_digest)  # an anatomical image belongs to several runs


def read_scan(
    candidate: Candidate, layout: Layout, task: str | None, events_column: str | None = None
) -> tuple[dict[str, Any], list[Any]]:
    """Return the row of one scan, and its classes: label values (segmentation), or kinds of events (volumes).

    Parameters
    ----------
    candidate : Candidate
        The scan.
    layout : Layout
        The data set of the scan.
    task : str or None
        The task; None reads the images alone.
    events_column : str, optional
        Column of the events with the target of each volume, if volumes have targets.

    Raises
    ------
    ScanError
        If the scan cannot be used.
    """
    first = candidate.images[0]
    if candidate.problem:
        raise ScanError(f"{first}: {candidate.problem}")
    if any(c in str(p) for p in candidate.images for c in ";\t\n"):
        raise ScanError(f"{first}: the path contains a semicolon, tab or line break", "rename it")
    reader = _read_series_scan if layout.kind == "timeseries" else _read_image_scan
    row, found, warnings = reader(candidate, layout, task)
    if events_column is not None:
        found = _kinds_of_events(candidate, events_column, warnings)
    names = {key: getattr(candidate, key) or None for key in ("session", "site", "task", "run", "space", "subset")}
    paths = {key: getattr(candidate, key) for key in ("events", "confounds", "anatomical")}
    row |= names | {key: str(path) if path else None for key, path in paths.items()}
    row |= {"scan": candidate.scan, "participant": candidate.participant, "target": candidate.target}
    row["preprocessed"] = None if candidate.preprocessed is None else "yes" if candidate.preprocessed else "no"
    row["anatomical_sha256"] = candidate.anatomical and _shared_digest(candidate.anatomical)
    row["warnings"] = ";".join(w.replace(";", ",") for w in dict.fromkeys([*warnings, *candidate.doubts])) or None
    return row, found


def _kinds_of_events(candidate: Candidate, column: str, warnings: list[str]) -> list[str]:
    if candidate.events is None:
        raise ScanError(f"{candidate.images[0]}: no *_events.tsv applies to this run, and clips.unit is volume")
    events = read_events(candidate.events)
    kinds = event_types(events, column, candidate.events)
    blocks = number_blocks(events, column)["_block"].nunique()
    if blocks < LEAST_BLOCKS:
        warnings.append(
            f"{blocks} blocks of events: a standardisation of so short a run (bold.standardize: zscore) removes the "
            "response to them; give the run before it was cut and set splits.unit: block, or set bold.standardize: none"
        )
    return kinds


Facts = tuple[dict[str, Any], list[Any], list[str]]  # entries of the row, classes, warnings


def _read_series_scan(candidate: Candidate, layout: Layout, task: str | None) -> Facts:
    """Read the facts of a scan that is series of regions."""
    path = candidate.images[0]
    series = read_series(path, candidate.scan)
    frames, regions = series.shape
    if layout.regions and regions != len(layout.regions):
        raise ScanError(f"{path}: {candidate.scan} has {regions} regions, columns.json has {len(layout.regions)}")
    if not np.isfinite(series).all():
        raise ScanError(f"{path}: {candidate.scan} has values that are not finite")
    still = int((np.ptp(series, axis=0) == 0).sum())
    if frames < MIN_FRAMES or still == regions:
        raise ScanError(f"{path}: {candidate.scan} has no change over time ({frames} volumes)")
    warnings = [f"{still} of {regions} regions do not change over time"] if still else []
    if candidate.repetition_time is None:
        warnings.append("no repetition time in participants.tsv")
    digest = hashlib.sha256(repr(series.shape).encode() + series.tobytes()).hexdigest()
    row = {
        "image": str(path),
        "shape": str(regions),
        "dtype": "float32",
        "channels": 1,
        "frames": frames,
        "repetition_time": candidate.repetition_time,
        "sha256": digest,
        "content": digest,
    }
    return row, [], warnings


def _read_image_scan(candidate: Candidate, layout: Layout, task: str | None) -> Facts:
    """Read the facts of the images of one scan, and its label values."""
    first, with_label = candidate.images[0], task == "segmentation"
    image = open_image(first)
    facts = header_facts(image)
    warnings = list(facts.warnings)
    channels, frames = _last_axis(candidate, facts, len(layout.channels))
    if frames < MIN_FRAMES and layout.channels == ["bold"]:
        raise ScanError(f"{first}: one volume, a run has several")
    contents = []
    for path in candidate.images:
        other = image if path == first else open_image(path)
        _check_grid(path, first, other, image)
        content, doubts = _read_voxels(path, other, candidate)
        contents.append(content)
        warnings += doubts
    if not any(contents):
        raise ScanError(f"{first}: {doubts[-1]}, so that the image has no content")
    values: list[int] = []
    if with_label and candidate.label is not None:
        values = _check_label(candidate.label, first, image, layout.labels or None)
        if values == [0]:
            warnings.append("the label map is empty (no foreground)")
    mask, doubts = _mask_of(candidate, first, image)
    # The other sources of the preprocessed arrays.
    beside = [candidate.label if with_label else None, candidate.events, candidate.confounds, mask]
    if candidate.last_axis == "time" and candidate.preprocessed and candidate.confounds is None:
        doubts.append("no table of confounds (*_desc-confounds_timeseries.tsv) beside the preprocessed image")
    if candidate.preprocessed is False and layout.channels == ["bold"] and candidate.anatomical is None:
        doubts.append("no T1w image of this participant")
    row: dict[str, Any] = {
        "image": ";".join(map(str, candidate.images)),
        "label": str(candidate.label) if with_label else None,
        "shape": _times(facts.shape[:3]),
        "spacing": "x".join(f"{s:.6g}" for s in facts.spacing) if facts.spacing else "?",
        "orientation": facts.orientation,
        "dtype": facts.dtype,
        "channels": channels,
        "frames": frames,
        "sha256": _digest([*candidate.images, *(path for path in beside if path)]),
        "content": contents[0] if len(contents) == 1 else _joined(contents),
        "mask": str(mask) if mask else None,
    }
    if candidate.last_axis == "time":
        row["repetition_time"] = candidate.repetition_time or header_step(image) or None
    return row, values, warnings + doubts


def _mask_of(candidate: Candidate, first: Path, image: nib.spatialimages.SpatialImage) -> tuple[Path | None, list[str]]:
    """Return the first candidate mask on the run's grid, or warnings if a mask was expected."""
    doubts = []
    for path in candidate.masks:
        try:
            mask = open_image(path)
            _check_grid(path, first, mask, image)
        except ScanError as error:
            doubts.append(f"mask not used: {error.what}")
        else:
            return path, []
    if candidate.last_axis == "time" and candidate.preprocessed and not doubts:
        doubts = ["no brain mask beside the preprocessed image"]
    # Masks of other acquisitions of the participant give no warning for a raw run.
    return None, doubts if candidate.preprocessed else []


def _last_axis(candidate: Candidate, facts: HeaderFacts, expected: int) -> tuple[int, int]:
    """Return the numbers of channels and frames; the meaning of the last axis is never guessed from its length."""
    first = candidate.images[0]
    extent = facts.shape[3] if len(facts.shape) == 4 else 1
    if len(candidate.images) > 1:
        if extent > 1:
            raise ScanError(f"{first}: a 4D image, but every channel has a file of its own")
        return len(candidate.images), 1
    if candidate.last_axis == "channel":
        if extent != expected:
            raise ScanError(f"{first}: {extent} channel(s) in the last axis, but dataset.json has {expected}")
        return extent, 1
    if candidate.last_axis == "time":
        return 1, extent
    if candidate.last_axis == "none" and extent > 1:
        raise ScanError(f"{first}: 4D with {extent} volumes, but this kind of image has no time axis")
    return 1, extent


def header_step(image: nib.spatialimages.SpatialImage) -> float:
    """Return the repetition time of the header in s, 0 if absent."""
    if len(image.shape) < 4:
        return 0.0
    zooms = image.header.get_zooms()
    code = int(image.header["xyzt_units"]) & 56 if isinstance(image.header, nib.Nifti1Header) else 8
    step = float(zooms[3]) * {16: 1e-3, 24: 1e-6}.get(code, 1.0) if len(zooms) > 3 else 0.0  # ms, us
    return step if 0 < step <= MAX_REPETITION_S else 0.0


def _read_voxels(
    path: Path, image: nib.spatialimages.SpatialImage, candidate: Candidate
) -> tuple[str | None, list[str]]:
    """Read a file once, piece by piece; return its content digest (None if constant) and warnings."""
    checks = VoxelChecks(image.shape[:3])
    for number, piece in read_pieces(image, path):
        checks.add(number, piece)
    warnings = checks.voxels()
    if checks.count > 1 and not checks.constant:
        if candidate.last_axis == "unknown":
            warnings.append(f"4D with {checks.count} volumes, of unknown meaning (channels or time)")
        if candidate.last_axis == "time":
            warnings += checks.bold(header_step(image), candidate.repetition_time)
        else:
            warnings += checks.volumes()
    return checks.content, warnings


def _check_label(
    path: Path, first: Path, image: nib.spatialimages.SpatialImage, known: Collection[int] | None
) -> list[int]:
    """Return the values of a label map on the grid of its image; otherwise raise a ScanError."""
    _check_grid(path, first, open_image(path), image)
    return label_values(path, known)


def _check_grid(
    path: Path, first: Path, other: nib.spatialimages.SpatialImage, image: nib.spatialimages.SpatialImage
) -> None:
    """Raise a ScanError if two files differ in shape or position."""
    shape, expected = other.shape[:3], image.shape[:3]
    if shape != expected:
        raise ScanError(f"{path}: shape {_times(shape)} differs from {_times(expected)} of {first.name}")
    shift = shift_in_voxels(image.affine, other.affine, expected)
    if shift > SHIFT_TOLERANCE:
        raise ScanError(f"{path}: lies {shift:.3g} voxels away from {first.name} (their affines differ)")


def _times(shape: Collection[int]) -> str:
    return "x".join(str(int(n)) for n in shape)


def _joined(contents: list[str | None]) -> str | None:
    """Return one digest of the contents of several channels, None if one of them is constant."""
    texts = [c for c in contents if c is not None]
    return hashlib.sha256("".join(texts).encode()).hexdigest() if len(texts) == len(contents) else None


def _digest(paths: list[Path]) -> str:
    """Return one SHA-256 of all files."""
    digest = hashlib.sha256()
    for path in paths:
        if is_volume(path):
            digest.update(read_volume(path).tobytes())
        elif is_sample(path):
            digest.update(read_sample(path).tobytes())
        else:
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()
