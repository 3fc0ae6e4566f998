"""Streaming of the volumes of an image: a single pass over the file with the memory of one volume."""

from __future__ import annotations

import gzip
import math
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import nibabel as nib
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import NDArray

from voxnas.core.errors import ScanError
from voxnas.io.nifti import check_integrity, read_voxels
from voxnas.io.nifti_header import GZIP_ERRORS, damaged_gzip, in_bytes

PIECE = 1 << 20


def read_volumes(image: nib.spatialimages.SpatialImage, path: Path) -> Iterator[NDArray]:
    """Yield scaled volumes in the order of the last axis; a 3D image has one volume.

    Once the iterator is exhausted, the file has passed the checks of :func:`~voxnas.io.nifti.check_integrity`.

    Parameters
    ----------
    image : image
        From :func:`~voxnas.io.nifti.open_image`.
    path : path
        File of the image.

    Yields
    ------
    ndarray, (X, Y, Z)

    Raises
    ------
    ScanError
        If the file is truncated or damaged.
    """
    proxy = image.dataobj
    if not path.name.endswith((".nii", ".nii.gz")) or not isinstance(proxy, ArrayProxy):
        check_integrity(path)
        voxels = read_voxels(image, path)
        volumes = voxels[..., None] if voxels.ndim == 3 else voxels
        yield from np.moveaxis(volumes, -1, 0)
        return
    packed = path.name.endswith(".gz")
    with gzip.open(path) if packed else path.open("rb") as file:
        try:
            yield from _stored_volumes(file, path, image, proxy)  # type: ignore[arg-type]
            while file.read(PIECE):
                pass  # data after the voxels is part of the checksum
        except GZIP_ERRORS as error:
            if packed:
                raise damaged_gzip(path, error) from None
            raise ScanError(f"{path}: unreadable: {error}") from None


def _stored_volumes(
    file: BinaryIO, path: Path, image: nib.spatialimages.SpatialImage, proxy: ArrayProxy
) -> Iterator[NDArray]:
    """Yield the volumes of an open NIfTI file, which is stored in Fortran order."""
    shape = tuple(int(n) for n in image.shape)
    count = math.prod(shape[3:])
    size = math.prod(shape[:3]) * proxy.dtype.itemsize
    passed = len(file.read(proxy.offset))
    slope, intercept = proxy.slope, proxy.inter
    for number in range(count):
        stored = file.read(size)
        if len(stored) < size:
            there, claim = passed + number * size + len(stored), proxy.offset + count * size
            raise ScanError(f"{path}: truncated, contains {in_bytes(there)} of {in_bytes(claim)}")
        volume = np.frombuffer(stored, proxy.dtype).reshape(shape[:3], order="F")
        yield volume if (slope, intercept) == (1, 0) else volume * slope + intercept
