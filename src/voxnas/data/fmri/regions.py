"""An atlas of regions: their mean series, and the way back from series to volumes."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

from voxnas.core.errors import UserError
from voxnas.data.fmri.source import Series, to_grid
from voxnas.data.preprocess import resample
from voxnas.io.nifti import load_label, open_image


@lru_cache(maxsize=2)
def load_atlas(path: Path) -> tuple[nib.Nifti1Image, tuple[int, ...]]:
    """An atlas and the values of its regions, in order; 0 is no region.

    Raises
    ------
    UserError
        If the file is no label image, or has fewer than two regions.
    """
    image = nib.Nifti1Image(load_label(path).astype(np.int32), open_image(path).affine)
    values = tuple(int(v) for v in np.unique(np.asarray(image.dataobj)) if v)
    if len(values) < 2:
        raise UserError(f"clips.atlas = {path} has {len(values)} region(s)", "give a label image of several regions")
    return image, values


class Regions:
    """Mean signal of each region, as nilearn's ``NiftiLabelsMasker``, one volume at a time.

    The atlas is brought to the run's grid by nearest neighbours; voxels outside the brain mask do not count.

    Parameters
    ----------
    atlas : path
        Label image in the run's space.
    series : Series
        The run.
    mask : ndarray of bool, (X, Y, Z)
        Its brain mask.

    Attributes
    ----------
    values : tuple of int
        Label value of each region.
    empty : tuple of int
        Values of the regions that have no voxel in this run; their mean is 0.
    """

    def __init__(self, atlas: Path, series: Series, mask: NDArray[np.bool_]) -> None:
        image, self.values = load_atlas(atlas)
        labels = np.rint(to_grid(image, series)).astype(np.int64)
        self._where = np.flatnonzero((labels > 0) & mask)
        self._number = np.searchsorted(self.values, labels.reshape(-1)[self._where])
        self._count = np.bincount(self._number, minlength=len(self.values))
        self.empty = tuple(v for v, count in zip(self.values, self._count, strict=True) if not count)

    def means(self, volume: NDArray[np.float32]) -> NDArray[np.float64]:
        """Mean of each region in a volume (X, Y, Z) of the run."""
        inside = volume.reshape(-1)[self._where].astype(np.float64)
        return np.bincount(self._number, inside, len(self.values)) / np.maximum(self._count, 1)


def painting(atlas: Path, values: tuple[int, ...], spacing: tuple[float, ...]) -> NDArray[np.int16]:
    """Number of the region in each voxel of a plan's grid, to paint series onto.

    Parameters
    ----------
    atlas : path
        Label image.
    values : tuple of int
        Label value of each column of the series.
    spacing : tuple of float
        Voxel size of the grid along R, A, S, in mm.

    Returns
    -------
    ndarray of int16, (D, H, W)
        0: no region has most of the voxel; else 1 + column. Cropped to the regions.
    """
    image, _ = load_atlas(atlas)
    orientation = orientations.io_orientation(image.affine)
    labels = orientations.apply_orientation(np.asarray(image.dataobj), orientation)
    sizes = np.empty(3)
    sizes[orientation[:, 0].astype(int)] = nib.affines.voxel_sizes(image.affine)
    filled = np.argwhere(np.isin(labels, values))
    if not len(filled):
        raise UserError(f"{atlas} has none of the regions of the series", "give the atlas that they were made with")
    low, high = filled.min(axis=0), filled.max(axis=0) + 1
    labels = labels[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    size = [max(1, round(n * s / t)) for n, s, t in zip(labels.shape, sizes, spacing, strict=True)]
    # Region by region, as label maps are: what has the largest share of a voxel gets it.
    best = resample((~np.isin(labels, values)).astype(np.float32)[None], size)[0]
    result = np.zeros(size, dtype=np.int16)
    for column, value in enumerate(values):
        share = resample((labels == value).astype(np.float32)[None], size)[0]
        better = share > best + 1e-6
        result[better], best[better] = column + 1, share[better]
    return np.ascontiguousarray(result.transpose(2, 1, 0))
