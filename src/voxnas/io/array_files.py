"""Samples in files of labelled arrays, as rows of one array: .npy, .npz, HDF5 or Zarr.

The path ``FILE#AXES:NAME[ROW]`` addresses a sample, so that all readers of images accept it:
``signals.h5#NCX:flux[17]`` is row 17 of the array ``flux``, whose axes are samples, channels and one axis of space. A
file of one array needs no NAME. One sample is read at a time, except from a .npz archive, whose array is decompressed
once.
"""

import functools
import math
import re
from pathlib import Path
from typing import Any, Literal

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from voxnas.core.errors import ScanError, UserError, of_one_scan
from voxnas.io.nifti_header import MAX_VOXELS
from voxnas.io.npz import array_names, read_rows

Axes = Literal["NX", "NXC", "NCX", "NXY", "NXYC", "NCXY", "NXYZ", "NXYZC", "NCXYZ"]
"""Order of the axes of an array: samples, channels (first, last or none) and one to three axes of space."""
HDF5 = (".h5", ".hdf5")
SAMPLE = re.compile(r"(?P<file>.+)#(?P<axes>NC?XY?Z?C?):(?P<name>.*)\[(?P<row>\d+)\]", re.DOTALL)


def sample_path(file: Path, axes: str, name: str, row: int) -> Path:
    """Path of one row of the array `name` of a file."""
    return Path(f"{file}#{axes}:{name}[{row}]")


def is_sample(path: Path) -> bool:
    """Whether a path addresses a sample."""
    return SAMPLE.fullmatch(str(path)) is not None


def open_rows(file: Path, name: str = "") -> Any:
    """Open an array without reading it.

    Parameters
    ----------
    file : path
        A .npy file, a .npz archive, an HDF5 file (.h5, .hdf5), or a Zarr folder or file (.zarr, .zip).
    name : str
        Name of the array; empty for a file of one array.

    Returns
    -------
    array_like
        With ``shape`` and ``dtype``; an index reads its rows.

    Raises
    ------
    UserError
        If the file or the array is missing or unreadable, the file is of another kind, or h5py is not installed.
    """
    if not file.exists():
        raise UserError(f"{file} does not exist", "arrays.json names the files relative to its own folder")
    return _opened(file, name, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=4)
def _opened(file: Path, name: str, _changed: int) -> Any:
    try:
        if file.suffix == ".npy" and not name:
            return np.load(file, mmap_mode="r", allow_pickle=False)
        if file.suffix == ".npz":
            return read_rows(file, _chosen(file, name, array_names(file)))
        if file.suffix in HDF5:
            return _hdf5(file, name)
        if file.suffix in (".zarr", ".zip"):
            import zarr

            node = zarr.open(file, mode="r")
            return node if isinstance(node, zarr.Array) else node[_chosen(file, name, list(node.array_keys()))]
    except UserError as error:  # of one array, hence of all samples
        raise UserError(error.what, error.remedy) from None
    except Exception as error:  # on damaged bytes, the readers raise exceptions of any type
        raise UserError(f"{file}: array {name!r} is unreadable: {error}", "check the file and arrays.json") from None
    kinds = ".npy (without a name of an array), .npz, .h5, .hdf5, .zarr, .zip"
    raise UserError(f"{file} is no file of arrays", f"allowed: {kinds}")


def _hdf5(file: Path, name: str) -> Any:
    try:
        import h5py
    except ImportError:
        raise UserError(f"{file} needs h5py, which is not installed", "pip install 'voxnas[hdf5]'") from None
    content = h5py.File(file, "r")
    found = content[_chosen(file, name, [key for key in content if isinstance(content[key], h5py.Dataset)])]
    if not isinstance(found, h5py.Dataset):
        raise UserError(f"{file}: {name!r} is no array", "name an array of the file")
    return found


def _chosen(file: Path, name: str, names: list[str]) -> str:
    """Return the name, or without one the only array of the file."""
    if name and (name in names or "/" in name):
        return name
    if not name and len(names) == 1:
        return names[0]
    what = f"has no array {name!r}" if name else f"has {len(names)} arrays and arrays.json names none"
    raise UserError(f"{file} {what}", f"its arrays: {', '.join(sorted(names)) or 'none'}")


def read_sample(path: Path) -> NDArray:
    """Read the stored values of a sample.

    Returns
    -------
    ndarray, (X, Y, Z) or (X, Y, Z, C)
        Absent axes of space have the size 1.

    Raises
    ------
    ScanError
        If the array is unreadable or lacks the row, or the sample is too large or has values that are not finite.
    """
    match = SAMPLE.fullmatch(str(path))
    if match is None:
        raise ScanError(f"{path}: not a sample of an array (FILE#AXES:NAME[ROW])")
    with of_one_scan():
        rows = open_rows(Path(match["file"]), match["name"])
    row, axes = int(match["row"]), match["axes"][1:]
    if row >= rows.shape[0]:
        raise ScanError(f"{path}: the array has {rows.shape[0]} rows")
    if math.prod(rows.shape[1:]) > MAX_VOXELS:
        raise ScanError(f"{path}: {'x'.join(map(str, rows.shape[1:]))} values, a sample may have {MAX_VOXELS}")
    try:
        found = np.asarray(rows[row])
    except Exception as error:  # on damaged bytes, the readers raise exceptions of any type
        raise ScanError(f"{path}: unreadable: {error}") from None
    if found.dtype.kind == "f" and not np.isfinite(found).all():
        raise ScanError(f"{path}: has values that are not finite (NaN or infinity)", "replace them, or drop the row")
    if axes.startswith("C"):
        found, axes = np.moveaxis(found, 0, -1), axes[1:] + "C"
    channels = found.shape[-1:] if axes.endswith("C") else ()
    space = found.shape[: len(axes) - len(channels)]
    return found.reshape(*space, *(1,) * (3 - len(space)), *channels)


def open_sample(path: Path) -> nib.Nifti2Image:
    """Open a sample as an image with voxels of 1 mm along R, A and S, since arrays have no geometry."""
    found = read_sample(path)
    image = nib.Nifti2Image(found.astype(np.float32), np.eye(4))
    if found.dtype in (np.uint8, np.int16, np.int32, np.float64):
        image.set_data_dtype(found.dtype)  # type of the stored values
    return image
