"""A volume with its place in the world, and a run that is written one volume after the other."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from voxnas.io.replace import replacing

Array = NDArray[np.floating]
# World axes: nibabel's point right, anterior and superior, ITK's left, posterior and superior.
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
COMPRESSION = 1  # of gzip; floating-point noise does not get much smaller than that


class Volume(NamedTuple):
    """A volume and where it is.

    `array`, (X, Y, Z); `affine`, (4, 4), leads from voxels to mm (R, A, S).
    """

    array: NDArray
    affine: Array

    def with_array(self, array: NDArray) -> Volume:
        """Another array on the same grid."""
        return Volume(array, self.affine)


def to_itk(volume: Volume) -> sitk.Image:
    """The volume as an image of SimpleITK, float32 (masks: uint8)."""
    kind = np.uint8 if volume.array.dtype == bool else np.float32
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T, dtype=kind))
    affine = TO_LPS @ volume.affine
    sizes = nib.affines.voxel_sizes(affine)
    image.SetSpacing(sizes.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / sizes).ravel().tolist())
    return image


def world_matrix(transform: sitk.Transform) -> NDArray[np.float64]:
    """A rigid or affine transform of SimpleITK as a matrix, (4, 4), from mm to mm (R, A, S)."""
    origin = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    columns = [np.array(transform.TransformPoint(axis)) - origin for axis in np.eye(3).tolist()]
    matrix = np.eye(4)
    matrix[:3, :3] = np.stack(columns, axis=1)
    matrix[:3, 3] = origin
    return TO_LPS @ matrix @ TO_LPS


def save_volume(path: str | Path, volume: Volume) -> None:
    """Write a volume as ``.nii.gz``: masks as uint8, others as float32; equal arrays give equal bytes."""
    image = nib.Nifti1Image(volume.array.astype(np.uint8 if volume.array.dtype == bool else np.float32), volume.affine)
    image.header.set_xyzt_units("mm")
    image.set_qform(volume.affine, 1)
    image.set_sform(volume.affine, 1)
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(image.to_bytes(), 6, mtime=0))


class RunWriter:
    """Write a run one volume after the other; equal volumes give equal bytes.

    Used in a ``with`` block; the file appears under its name when the block ends well.

    Parameters
    ----------
    path : path
        A ``.nii.gz`` file.
    shape : tuple of int
        (X, Y, Z, T).
    affine : ndarray, (4, 4)
        Voxels to mm.
    step_s : float
        Seconds from one volume to the next.
    """

    def __init__(self, path: str | Path, shape: tuple[int, ...], affine: Array, step_s: float) -> None:
        self.path = Path(path)
        self.shape = shape
        header = nib.Nifti1Header()
        header.set_data_dtype(np.float32)
        header.set_data_shape(shape)
        header.set_zooms((*nib.affines.voxel_sizes(affine), step_s))
        header.set_xyzt_units("mm", "sec")
        header.set_qform(affine, 1)
        header.set_sform(affine, 1)
        header["vox_offset"] = 352
        header["magic"] = b"n+1"
        self.written = 0
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._part = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        self._raw = self._part.open("wb")
        self._file = gzip.GzipFile("", "wb", COMPRESSION, self._raw, mtime=0)
        self._file.write(header.binaryblock + b"\0" * 4)

    def write(self, volume: Array) -> None:
        """Append one volume, (X, Y, Z)."""
        if volume.shape != self.shape[:3]:
            raise ValueError(f"{self.path}: a volume of shape {volume.shape} in a run of {self.shape}")
        self._file.write(volume.astype("<f4").tobytes(order="F"))
        self.written += 1

    def __enter__(self) -> RunWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        self._raw.close()
        if kind is not None:
            self._part.unlink(missing_ok=True)
            return
        if self.written != self.shape[3]:
            self._part.unlink(missing_ok=True)
            raise ValueError(f"{self.path}: {self.written} volumes written of {self.shape[3]}")
        os.replace(self._part, self.path)
