"""Streaming of the voxels of an image: a single pass over the file with the memory of one piece."""

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
from voxnas.io.nifti_header import GZIP_ERRORS, damaged_gzip, in_bytes

PIECE = 1 << 22  # voxels


def read_pieces(image: nib.spatialimages.SpatialImage, path: str | Path) -> Iterator[tuple[int, NDArray]]:
    """Yield the scaled voxels in pieces, in the order of the file, i.e. with the first axis fastest.

    A piece belongs to one volume. Once the iterator is exhausted, the length and the checksum of the file have been
    checked.

    Parameters
    ----------
    image : image
        From :func:`~voxnas.io.nifti.open_image`.
    path : path
        File of the image.

    Yields
    ------
    volume : int
        Position along the axes after the third; a 3D image has volume 0 alone.
    voxels : ndarray, (N,)
        At most :data:`PIECE` voxels.

    Raises
    ------
    ScanError
        If the file is truncated or damaged.
    """
    path, proxy = Path(path), image.dataobj
    if not path.name.endswith((".nii", ".nii.gz")) or not isinstance(proxy, ArrayProxy):
        try:
            voxels = np.asanyarray(proxy)
        except Exception as error:  # on damaged bytes, the readers of nibabel raise exceptions of any type
            raise ScanError(f"{path}: the voxels cannot be read: {error}") from None
        for number, volume in enumerate(np.moveaxis(voxels.reshape(*image.shape[:3], -1), -1, 0)):
            yield number, volume.ravel(order="F")
        return
    packed = path.name.endswith(".gz")
    with gzip.open(path) if packed else path.open("rb") as file:
        try:
            yield from _stored_pieces(file, path, image, proxy)  # type: ignore[arg-type]
            while file.read(PIECE):
                pass  # data after the voxels is part of the checksum
        except GZIP_ERRORS as error:
            if packed:
                raise damaged_gzip(path, error) from None
            raise ScanError(f"{path}: unreadable: {error}") from None


def _stored_pieces(
    file: BinaryIO, path: Path, image: nib.spatialimages.SpatialImage, proxy: ArrayProxy
) -> Iterator[tuple[int, NDArray]]:
    """Yield the pieces of an open NIfTI file."""
    size, voxels = proxy.dtype.itemsize, math.prod(image.shape[:3])
    claim = proxy.offset + math.prod(image.shape) * size
    slope, intercept = np.float64(proxy.slope), np.float64(proxy.inter)
    there = len(file.read(proxy.offset))
    for number in range(math.prod(image.shape[3:])):
        for start in range(0, voxels, PIECE):
            wanted = min(PIECE, voxels - start) * size
            stored = file.read(wanted)
            there += len(stored)
            if len(stored) < wanted:
                raise ScanError(f"{path}: truncated, contains {in_bytes(there)} of {in_bytes(claim)}")
            piece = np.frombuffer(stored, proxy.dtype)
            yield number, piece if (slope, intercept) == (1, 0) else piece * slope + intercept
