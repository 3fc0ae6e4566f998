"""Volumes in an .npz archive, as rows of one array.

The path ``FILE.npz#train_17`` addresses row 17 of the array ``train_images``, so that all readers of images accept such
volumes. The layout follows MedMNIST (Yang et al. 2023, Scientific Data): arrays ``<split>_images``, (N, X, Y, Z), and
``<split>_<target>``, (N, 1).
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
    """Path of one row of ``<split>_images``."""
    return Path(f"{file}#{split}_{row}")


def is_volume(path: Path) -> bool:
    """Whether a path addresses a volume in an archive."""
    return VOLUME.fullmatch(str(path)) is not None


def array_names(file: Path) -> list[str]:
    """Names of the arrays in an archive; empty if the archive is damaged. No array is read."""
    try:
        with zipfile.ZipFile(file) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile):
        return []


def read_rows(file: Path, name: str) -> NDArray:
    """Read one array of an archive; ScanError if it is unreadable. The array is cached and must not be modified."""
    try:
        return _load(file, name, file.stat().st_mtime_ns)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise ScanError(f"{file}: array {name!r} is unreadable: {error}") from None


@functools.lru_cache(maxsize=2)
def _load(file: Path, name: str, _changed: int) -> NDArray:
    # A compressed array is only readable from its start; it is cached for the following rows.
    with np.load(file, allow_pickle=False) as archive:
        return archive[name]


def read_volume(path: Path) -> NDArray:
    """Read the stored voxels of a volume, (X, Y, Z).

    Raises
    ------
    ScanError
        If the archive is unreadable or lacks the row.
    """
    match = VOLUME.fullmatch(str(path))
    if match is None:
        raise ScanError(f"{path}: not a volume of an archive (FILE.npz#SPLIT_ROW)")
    rows = read_rows(Path(match["file"]), match["split"] + IMAGES)
    if int(match["row"]) >= len(rows):
        raise ScanError(f"{path}: the array has {len(rows)} rows")
    return rows[int(match["row"])]


def open_volume(path: Path) -> nib.Nifti1Image:
    """Open a volume as an image with voxels of 1 mm along R, A and S, since the archive has no geometry.

    8-bit integers from 0 to 255 are scaled to [0, 1], as in the loaders of MedMNIST.
    """
    voxels = read_volume(path)
    array = voxels.astype(np.float32)
    if voxels.dtype == np.uint8:
        array /= 255
    image = nib.Nifti1Image(array, np.eye(4))
    if voxels.dtype == np.uint8:
        image.set_data_dtype(np.uint8)  # type of the stored voxels
    return image
