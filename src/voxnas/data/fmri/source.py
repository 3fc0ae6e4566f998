"""The files of a run, and sequential access to its volumes."""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
from nibabel import orientations
from numpy.typing import NDArray

from voxnas.core.errors import ScanError
from voxnas.data.preprocess import canonical_order
from voxnas.io.nifti import load_array, open_image
from voxnas.io.records import read_json

MEAN_VOLUMES = 20  # for the mean from which a missing brain mask is computed


@dataclass(frozen=True)
class Source:
    """The files of a run.

    Attributes
    ----------
    scan : str
        Identifier of the run.
    bold : Path
        The series, (X, Y, Z, T).
    mask, confounds : Path or None
        Brain mask on the same grid or in the same space; table of confounds.
    dropped : int
        Volumes dropped at the start, which the series lacks.
    preprocessed : bool
        Whether the series is fMRIPrep's.
    space : str
        Space entity, such as MNI152NLin2009cAsym; empty: the run's own space.
    repetition_time : float
        In s.
    found : dict
        Measures of quality and omitted steps, from the spatial steps.
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


def read_spatial(folder: str | Path | None) -> dict[str, dict[str, Any]]:
    """Read the records of the spatial steps by run, with absolute paths.

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


def find_source(row: Mapping[Hashable, Any], spatial: Mapping[str, dict[str, Any]]) -> Source:
    """Return the files of a run, written by the spatial steps if they ran, else listed in the index.

    Parameters
    ----------
    row : mapping
        Row of scans.tsv.
    spatial : mapping
        Of :func:`read_spatial`.

    Raises
    ------
    ScanError
        If the spatial steps excluded the run, or the repetition time is unknown.
    """
    scan = str(row["scan"])
    done = spatial.get(scan, {})
    if done.get("excluded"):
        raise ScanError(done["excluded"])
    files = done or row
    seconds = float(row.get("repetition_time") or "nan")
    if not seconds > 0:
        raise ScanError(
            f"{row['image']}: no repetition time, neither in a sidecar nor in the header",
            "add RepetitionTime, in seconds, to the sidecar",
        )
    return Source(
        scan=scan,
        bold=Path(done.get("bold", row["image"])),
        mask=optional_path(files.get("mask")),
        confounds=optional_path(files.get("confounds")),
        dropped=int(done.get("dropped", 0)),
        preprocessed=row.get("preprocessed") == "yes",
        space="" if pd.isna(files.get("space")) else str(files["space"]),
        repetition_time=seconds,
        found={
            **done.get("quality", {}),
            "left_out": "; ".join(f"{step}: {reason}" for step, reason in done.get("left_out", {}).items()) or None,
        },
    )


def optional_path(value: Any) -> Path | None:
    """Return the path in a cell of a table, None if the cell is missing or empty."""
    return None if pd.isna(value) or not value else Path(value)


class Series:
    """The volumes of a run, read sequentially from its file.

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
        Nibabel's orientation of the file's axes.
    spacing : ndarray, (3,)
        Voxel size in mm along R, A, S.

    Raises
    ------
    ScanError
        If the file cannot be read, or has only one volume.
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
        self.shape = tuple(int(n) for n in canonical_order(self.stored_shape, self.orientation))

    def volumes(self, stop: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield the volumes (X, Y, Z) in canonical orientation; voxels that are not finite are 0.

        A compressed file is read once from its start: reading T volumes takes O(T) and not O(T^2) time.
        """
        image = open_image(self.path)
        # A file that stays open is read on from the end of the last volume.
        image = type(image).from_filename(str(self.path), keep_file_open=True)
        for frame in range(min(self.frames, stop or self.frames)):
            try:
                volume = np.array(image.dataobj[..., frame], dtype=np.float32)
            except Exception as error:  # nibabel's readers raise errors of all kinds for damaged bytes
                raise ScanError(f"{self.path}: volume {frame} cannot be read: {error}") from None
            volume = np.nan_to_num(volume, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
            yield np.ascontiguousarray(orientations.apply_orientation(volume, self.orientation))

    def grid(self) -> nib.Nifti1Image:
        """Return an empty image of the canonical grid."""
        return nib.Nifti1Image(np.zeros(self.shape, dtype=np.uint8), self.affine)


def brain_mask(series: Series, path: Path | None) -> NDArray[np.bool_]:
    """Return the brain mask of a run, (X, Y, Z) in canonical orientation.

    Parameters
    ----------
    series : Series
        The run.
    path : path or None
        Image of a mask in the run's space, resampled to its grid by nearest neighbour; None: the mask is computed from
        the mean of the first volumes (:func:`voxnas.data.fmri.brain_mask.bold_mask`).

    Raises
    ------
    ScanError
        If the mask is empty.
    """
    if path is not None:
        array, affine = load_array(path)
        if array.ndim != 3:
            raise ScanError(f"{path}: a mask must be 3D, this image has {array.shape[3]} volumes")
        mask = to_grid(nib.Nifti1Image(array, affine), series) > 0
    else:
        from voxnas.data.fmri.brain_mask import bold_mask  # imports SimpleITK, which few runs need
        from voxnas.data.fmri.volumes import Volume

        mean = np.zeros(series.shape)
        for volume in series.volumes(MEAN_VOLUMES):
            mean += volume
        try:
            mask = bold_mask(Volume(mean / min(series.frames, MEAN_VOLUMES), series.affine))
        except ScanError as error:
            raise ScanError(f"{series.path}: {error.what}", "provide a mask in the run's space") from None
    if not mask.any():
        raise ScanError(f"{path or series.path}: the brain mask is empty", "provide a mask in the run's space")
    return mask


def to_grid(image: nib.Nifti1Image, series: Series) -> NDArray[np.float32]:
    """Resample an image of the run's space to its canonical grid by nearest neighbour, (X, Y, Z)."""
    from nilearn.image import resample_to_img

    if image.shape[:3] == series.shape and np.allclose(image.affine, series.affine, atol=1e-3):
        return np.asarray(image.dataobj, dtype=np.float32)
    moved = resample_to_img(
        image, series.grid(), interpolation="nearest", copy_header=True, force_resample=True, fill_value=0
    )
    return np.asarray(moved.dataobj, dtype=np.float32)
