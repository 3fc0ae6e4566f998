"""Volumes that have no file of their own: rows of one array in an .npz archive.

Such a volume has a path of its own all the same, ``FILE.npz#train_17`` (row 17 of the array
``train_images``), so that everything that reads images reads it by its path. The layout is that of
MedMNIST (Yang et al. 2023, Scientific Data): arrays ``<split>_images``, (N, X, Y, Z), and ``<split>_<target>``, (N, 1).
"""

from __future__ import annotations

import functools
import re
import zipfile
import zlib
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from voxnas.core.errors import ScanError

IMAGES = "_images"
VOLUME = re.compile(r"(?P<file>.+\.npz)#(?P<split>\w+)_(?P<row>\d+)", re.DOTALL)


def volume_path(file: Path, split: str, row: int) -> Path:
    """The path of one row of ``<split>_images``."""
    return Path(f"{file}#{split}_{row}")


def is_volume(path: Path) -> bool:
    """Whether a path is that of a volume in an archive."""
    return VOLUME.fullmatch(str(path)) is not None


def array_names(file: Path) -> list[str]:
    """Names of the arrays in an archive, without reading them; none where it is damaged."""
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile):
        return []


def read_rows(file: Path, name: str) -> NDArray:
    """One array of an archive; ScanError if it cannot be read. Not to be changed: it is kept for the next call."""
    try:
        return _load(file, name, file.stat().st_mtime_ns)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ScanError(f"{file}: array {name!r} cannot be read: {error}") from None


@functools.lru_cache(maxsize=2)
def _load(file: Path, name: str, _changed: int) -> NDArray:
    # A compressed array is read from its start, so one at a time stays in memory for the rows that follow.
    with np.load(file, allow_pickle=False) as archive:
        return archive[name]


def read_volume(path: Path) -> NDArray:
    """The stored voxels of a volume, (X, Y, Z).

    Raises
    ------
    ScanError
        If the archive cannot be read, or has no such row.
    """
    match = VOLUME.fullmatch(str(path))
    if match is None:
        raise ScanError(f"{path}: not a volume of an archive (FILE.npz#SPLIT_ROW)")
    rows = read_rows(Path(match["file"]), match["split"] + IMAGES)
    if int(match["row"]) >= len(rows):
        raise ScanError(f"{path}: the array has {len(rows)} rows")
    return rows[int(match["row"])]


def open_volume(path: Path) -> nib.Nifti1Image:
    """A volume as an image of voxels of 1 mm along R, A and S, since the archive does not say.

    Whole numbers of 8 bits, 0 to 255, become 0 to 1, as in MedMNIST's own loaders.
    """
    voxels = read_volume(path)
    array = voxels.astype(np.float32)
    if voxels.dtype == np.uint8:
        array /= 255
    image = nib.Nifti1Image(array, np.eye(4))
    if voxels.dtype == np.uint8:
        image.set_data_dtype(np.uint8)  # of the stored voxels
    return image
