"""The files of a run, and its volumes one at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

FEW_VOXELS = 16  # an axis below this is eroded away by the opening of a brain mask
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
    """

    scan: str
    bold: Path
    mask: Path | None
    confounds: Path | None
    dropped: int
    preprocessed: bool
    space: str
    repetition_time: float


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
        If the time between volumes is not known.
    """
    scan = str(row["scan"])
    done = spatial.get(scan, {})
    seconds = float(row.get("repetition_time") or "nan")
    if not seconds > 0:
        raise ScanError(
            f"{row['image']}: no repetition time, neither in a sidecar nor in the header",
            "add RepetitionTime, in seconds, to the sidecar",
        )
    return Source(
        scan=scan,
        bold=Path(done.get("bold") or row["image"]),
        mask=_path(done.get("mask") or row.get("mask")),
        confounds=_path(done.get("confounds") or row.get("confounds")),
        dropped=int(done.get("dropped", 0)),
        preprocessed=row.get("preprocessed") == "yes",
        space=_text(done.get("space") or row.get("space")),
        repetition_time=seconds,
    )


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
        of the first volumes by histogram (:func:`nilearn.masking.compute_epi_mask`), or, in a slab of few slices
        and where most of the image is blank already, of the voxels that are not zero.

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
        mean = np.zeros(series.shape)
        for volume in series.volumes(MEAN_VOLUMES):
            mean += volume
        mask = _made_mask(mean / min(series.frames, MEAN_VOLUMES), series.affine)
    if not mask.any():
        raise ScanError(f"{path or series.path}: the brain mask is empty", "give a mask of the run's space")
    return mask


def _made_mask(mean: NDArray[np.float64], affine: NDArray[np.float64]) -> NDArray[np.bool_]:
    from nilearn.masking import compute_epi_mask

    filled = mean != 0
    if min(mean.shape) < FEW_VOXELS or filled.mean() < 0.75:
        return filled
    try:
        made = np.asarray(compute_epi_mask(nib.Nifti1Image(mean.astype(np.float32), affine)).dataobj) > 0
    except Exception as error:  # nilearn raises of several kinds where nothing looks like a brain
        raise ScanError(f"no brain mask can be made: {error}", "give a mask of the run's space") from None
    return made


def to_grid(image: nib.Nifti1Image, series: Series) -> NDArray[np.float32]:
    """An image of the run's space at its canonical voxels, by nearest neighbours, (X, Y, Z)."""
    from nilearn.image import resample_to_img

    if image.shape[:3] == series.shape and np.allclose(image.affine, series.affine, atol=1e-3):
        return np.asarray(image.dataobj, dtype=np.float32)
    moved = resample_to_img(
        image, series.grid(), interpolation="nearest", copy_header=True, force_resample=True, fill_value=0
    )
    return np.asarray(moved.dataobj, dtype=np.float32)
