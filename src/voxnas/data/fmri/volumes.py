"""Volumes in world coordinates, and a writer of runs volume by volume."""

import gzip
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from voxnas.io.nifti import save_image
from voxnas.io.replace import replacing

Array = NDArray[np.floating]
# World axes: nibabel's point to the right, anterior and superior, ITK's to the left, posterior and superior.
TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
COMPRESSION = 1  # of gzip; higher levels hardly compress floating-point noise further


class Volume(NamedTuple):
    """A volume and its position.

    `array`, (X, Y, Z); `affine`, (4, 4), maps voxels to mm (R, A, S).
    """

    array: NDArray
    affine: Array

    def with_array(self, array: NDArray) -> "Volume":
        """Return another array on the same grid."""
        return Volume(array, self.affine)


def to_itk(volume: Volume) -> sitk.Image:
    """Convert the volume to an image of SimpleITK, float32 (masks: uint8)."""
    kind = np.uint8 if volume.array.dtype == bool else np.float32
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.T, dtype=kind))
    affine = TO_LPS @ volume.affine
    sizes = nib.affines.voxel_sizes(affine)
    image.SetSpacing(sizes.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / sizes).ravel().tolist())
    return image


def world_matrix(transform: sitk.Transform) -> NDArray[np.float64]:
    """Return a rigid or affine transform of SimpleITK as a matrix, (4, 4), from mm to mm (R, A, S)."""
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
    save_image(path, image)


def save_run(
    path: str | Path, volumes: Iterable[Array], shape: tuple[int, ...], affine: Array, repetition_time: float
) -> None:
    """Write a run volume by volume; equal volumes give equal bytes.

    Parameters
    ----------
    path : path
        A ``.nii.gz`` file, which appears under its name when it is complete.
    volumes : iterable of ndarray, (X, Y, Z)
        In order.
    shape : tuple of int
        (X, Y, Z, T).
    affine : ndarray, (4, 4)
        Voxels to mm.
    repetition_time : float
        In s.

    Raises
    ------
    ValueError
        If the volumes do not have the given shape and number.
    """
    header = nib.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape(shape)
    header.set_zooms((*nib.affines.voxel_sizes(affine), repetition_time))
    header.set_xyzt_units("mm", "sec")
    header.set_qform(affine, 1)
    header.set_sform(affine, 1)
    header["vox_offset"] = 352
    header["magic"] = b"n+1"
    written = 0
    with replacing(path) as temporary, temporary.open("wb") as raw:
        with gzip.GzipFile("", "wb", COMPRESSION, raw, mtime=0) as file:
            file.write(header.binaryblock + b"\0" * 4)
            for volume in volumes:
                if volume.shape != shape[:3]:
                    raise ValueError(f"{path}: a volume of shape {volume.shape} in a run of {shape}")
                file.write(volume.astype("<f4").tobytes(order="F"))
                written += 1
        if written != shape[3]:
            raise ValueError(f"{path}: {written} volumes written of {shape[3]}")
