"""The files of a run, and its volumes one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel import orientations
from numpy.typing import NDArray

from voxnas.core.errors import ScanError
from voxnas.io.nifti import load_array, open_image
from voxnas.io.records import read_json

MEAN_VOLUMES = 20  # from which a brain mask is made where no file gives it


@dataclass(frozen=True)
class Source:
    """Where a run and what belongs to it lie.

    Attributes
    ----------
    scan : str
        Name of the run.
    bold : Path
        The series, (X, Y, Z, T).
    mask, confounds : Path or None
        Brain mask on the same grid or in the same space; table of confounds.
    dropped : int
        Volumes that were left out at the start, before the series.
    preprocessed : bool
        Whether the series is fMRIPrep's.
    space : str
        Space entity, such as MNI152NLin2009cAsym; empty: the run's own.
    repetition_time : float
        Seconds between volumes.
    found : dict
        What the spatial steps found out about its quality, and what they left out.
    """

    scan: str
    bold: Path
    mask: Path | None
    confounds: Path | None
    dropped: int
    preprocessed: bool
    space: str
    repetition_time: float
    found: dict[str, Any] = field(default_factory=dict)


def table_rows(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """The rows of a table, one at a time."""
    for _, row in table.iterrows():
        yield {str(column): value for column, value in row.items()}


def read_spatial(folder: str | Path | None) -> dict[str, dict[str, Any]]:
    """What the spatial steps wrote of each run, with absolute paths.

    Parameters
    ----------
    folder : path or None
        ``preprocess/spatial`` or one of the shards in it.
    """
    found: dict[str, dict[str, Any]] = {}
    for file in sorted({*Path(folder).glob("runs.json"), *Path(folder).glob("*/runs.json")}) if folder else []:
        for scan, record in read_json(file).items():
            paths = {k: file.parent / record[k] for k in ("bold", "mask", "confounds", "sidecar") if record.get(k)}
            found[scan] = {**record, **paths}
    return found


def find_source(row: Mapping[str, Any], spatial: Mapping[str, dict[str, Any]]) -> Source:
    """The files of a run: those of the spatial steps where they ran, else those of the index.

    Parameters
    ----------
    row : mapping
        Row of scans.tsv.
    spatial : mapping
        Of :func:`read_spatial`.

    Raises
    ------
    ScanError
        If the spatial steps could not use the run, or the time between volumes is not known.
    """
    scan = str(row["scan"])
    done = spatial.get(scan)
    if done is not None and done.get("excluded"):
        raise ScanError(done["excluded"])
    files = row if done is None else done
    seconds = float(row.get("repetition_time") or "nan")
    if not seconds > 0:
        raise ScanError(
            f"{row['image']}: no repetition time, neither in a sidecar nor in the header",
            "add RepetitionTime, in seconds, to the sidecar",
        )
    return Source(
        scan=scan,
        bold=Path(row["image"] if done is None else done["bold"]),
        mask=_path(files.get("mask")),
        confounds=_path(files.get("confounds")),
        dropped=0 if done is None else int(done["dropped"]),
        preprocessed=row.get("preprocessed") == "yes",
        space=_text(files.get("space")),
        repetition_time=seconds,
        found={} if done is None else {**done.get("quality", {}), "left_out": _reasons(done.get("left_out", {}))},
    )


def _reasons(left_out: Mapping[str, str]) -> str | None:
    return "; ".join(f"{step}: {reason}" for step, reason in left_out.items()) or None


def _text(value: Any) -> str:
    return "" if value is None or pd.isna(value) else str(value)


def _path(value: Any) -> Path | None:
    return Path(text) if (text := _text(value)) else None


class Series:
    """Volumes of a run, read one after the other along its file.

    Parameters
    ----------
    path : path
        NIfTI image, (X, Y, Z, T).

    Attributes
    ----------
    shape : tuple of int
        (X, Y, Z) in canonical orientation (R, A, S).
    stored_shape : tuple of int
        (X, Y, Z) of the file.
    frames : int
        T.
    affine : ndarray, (4, 4)
        Canonical voxels to mm.
    stored_affine : ndarray, (4, 4)
        Of the file.
    orientation : ndarray, (3, 2)
        Of the file's axes, as of nibabel.
    spacing : ndarray, (3,)
        Voxel size in mm along R, A, S.

    Raises
    ------
    ScanError
        If it cannot be read, or is no series.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        image = open_image(path)
        if len(image.shape) != 4 or image.shape[3] < 2:
            raise ScanError(f"{path}: one volume, a run has several", "check data.suffix and data.filters")
        self.stored_shape = tuple(int(n) for n in image.shape[:3])
        self.frames = int(image.shape[3])
        self.stored_affine = np.asarray(image.affine, dtype=float)
        self.orientation = orientations.io_orientation(image.affine)
        self.affine = self.stored_affine @ orientations.inv_ornt_aff(self.orientation, self.stored_shape)
        self.spacing = nib.affines.voxel_sizes(self.affine)
        shape = [0, 0, 0]
        for (axis, _), size in zip(self.orientation, self.stored_shape, strict=True):
            shape[int(axis)] = size
        self.shape = (shape[0], shape[1], shape[2])

    def volumes(self, stop: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Volumes (X, Y, Z) in canonical orientation; voxels that are not finite are 0.

        A compressed file is read once from its start, so that T volumes cost T and not T^2 readings.
        """
        image = open_image(self.path)
        # A file that stays open goes on where the last volume ended.
        image = type(image).from_filename(str(self.path), keep_file_open=True)
        for frame in range(min(self.frames, stop or self.frames)):
            try:
                volume = np.array(image.dataobj[..., frame], dtype=np.float32)
            except Exception as error:  # nibabel's readers raise of every kind on damaged bytes
                raise ScanError(f"{self.path}: volume {frame} cannot be read: {error}") from None
            volume = np.nan_to_num(volume, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            yield np.ascontiguousarray(orientations.apply_orientation(volume, self.orientation))

    def grid(self) -> nib.Nifti1Image:
        """An empty image of the canonical grid."""
        return nib.Nifti1Image(np.zeros(self.shape, dtype=np.uint8), self.affine)


def brain_mask(series: Series, path: Path | None) -> NDArray[np.bool_]:
    """Brain mask of a run, (X, Y, Z) in canonical orientation.

    Parameters
    ----------
    series : Series
        The run.
    path : path or None
        Image of a mask in the run's space, brought to its grid by nearest neighbours; None: it is made of the mean
        of the first volumes (:func:`voxnas.data.fmri.brain_mask.bold_mask`).

    Raises
    ------
    ScanError
        If no voxel is left.
    """
    if path is not None:
        array, affine = load_array(path)
        if array.ndim != 3:
            raise ScanError(f"{path}: a mask must be 3D, this one has {array.shape[3]} volumes")
        mask = to_grid(nib.Nifti1Image(array, affine), series) > 0
    else:
        from voxnas.data.fmri.brain_mask import bold_mask  # needs SimpleITK, which few runs do
        from voxnas.data.fmri.volumes import Volume

        mean = np.zeros(series.shape)
        for volume in series.volumes(MEAN_VOLUMES):
            mean += volume
        try:
            mask = bold_mask(Volume(mean / min(series.frames, MEAN_VOLUMES), series.affine))
        except ScanError as error:
            raise ScanError(f"{series.path}: {error.what}", "give a mask of the run's space") from None
    if not mask.any():
        raise ScanError(f"{path or series.path}: the brain mask is empty", "give a mask of the run's space")
    return mask


def to_grid(image: nib.Nifti1Image, series: Series) -> NDArray[np.float32]:
    """An image of the run's space at its canonical voxels, by nearest neighbours, (X, Y, Z)."""
    from nilearn.image import resample_to_img

    if image.shape[:3] == series.shape and np.allclose(image.affine, series.affine, atol=1e-3):
        return np.asarray(image.dataobj, dtype=np.float32)
    moved = resample_to_img(
        image, series.grid(), interpolation="nearest", copy_header=True, force_resample=True, fill_value=0
    )
    return np.asarray(moved.dataobj, dtype=np.float32)
