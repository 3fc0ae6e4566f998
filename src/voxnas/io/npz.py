"""Volumes in an .npz archive, as rows of one array.

The path ``FILE.npz#train_17`` addresses row 17 of the array ``train_images``, so that all readers of images accept such
volumes. The layout follows MedMNIST (Yang et al. 2023, Scientific Data): arrays ``<split>_images``, (N, X, Y, Z) or of
planes (N, X, Y), and ``<split>_<target>``, (N, 1).
"""

import functools
import math
import re
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from voxnas.core.errors import ScanError
from voxnas.io.nifti_header import MAX_VOXELS, in_bytes

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


def read_array(file: str | Path, name: str) -> NDArray:
    """Read one array of an archive; ScanError if it is unreadable, or larger than the largest volume as float32."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            size = archive.zip.getinfo(f"{name}.npy").file_size
            if size <= 4 * MAX_VOXELS:
                return archive[name]
    except Exception as error:  # on damaged bytes, the readers raise exceptions of any type
        raise ScanError(f"{file}: array {name!r} is unreadable: {error}") from None
    raise ScanError(f"{file}: array {name!r} has {in_bytes(size)}, at most {in_bytes(4 * MAX_VOXELS)} are read")


def read_rows(file: Path, name: str) -> NDArray:
    """As :func:`read_array`; the array is cached and must not be modified."""
    return _cached(file, name, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=1)
def _cached(file: Path, name: str, _changed: int) -> NDArray:
    # A compressed array is only readable from its start; it is cached for the following rows.
    return read_array(file, name)


def read_volume(path: Path) -> NDArray:
    """Read the stored voxels of a volume, (X, Y, Z); of a plane, (X, Y, 1).

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
    if math.prod(rows.shape[1:]) > MAX_VOXELS:
        raise ScanError(f"{path}: {'x'.join(map(str, rows.shape[1:]))} voxels, a volume may have {MAX_VOXELS}")
    if rows.dtype.kind not in "biuf":
        raise ScanError(f"{path}: the voxels are of type {rows.dtype}, numbers are required")
    found: NDArray = rows[int(match["row"])]
    return found[..., None] if found.ndim == 2 else found


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
