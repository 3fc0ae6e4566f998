"""Mean series of the regions of an atlas, and the inverse map from series to volumes."""

from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel import orientations
from numpy.typing import NDArray

from voxnas.core.errors import UserError
from voxnas.data.fmri.source import Series, to_grid
from voxnas.data.preprocess import inside_box, nonzero_box, resample_labels, target_size, voxel_size
from voxnas.io.nifti import load_label, open_image


@lru_cache(maxsize=2)
def load_atlas(path: Path) -> tuple[nib.Nifti1Image, tuple[int, ...]]:
    """Load an atlas and the sorted values of its regions; 0 is background.

    Raises
    ------
    UserError
        If the file is not a label image, or has fewer than two regions.
    """
    image = nib.Nifti1Image(load_label(path).astype(np.int32), open_image(path).affine)
    values = tuple(int(v) for v in np.unique(np.asarray(image.dataobj)) if v)
    if len(values) < 2:
        raise UserError(f"clips.atlas = {path} has {len(values)} region(s)", "set a label image of several regions")
    return image, values


class Regions:
    """Mean signal of each region, like nilearn's ``NiftiLabelsMasker`` but volume by volume.

    The atlas is resampled to the run's grid by nearest neighbour; voxels outside the brain mask are excluded.

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
        Values of the regions without voxels in this run; their mean is 0.
    """

    def __init__(self, atlas: Path, series: Series, mask: NDArray[np.bool_]) -> None:
        image, self.values = load_atlas(atlas)
        labels = np.rint(to_grid(image, series)).astype(np.int64)
        self._where = np.flatnonzero((labels > 0) & mask)
        self._number = np.searchsorted(self.values, labels.reshape(-1)[self._where])
        self._count = np.bincount(self._number, minlength=len(self.values))
        self.empty = tuple(v for v, count in zip(self.values, self._count, strict=True) if not count)

    def means(self, volume: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean of each region in a volume (X, Y, Z) of the run."""
        inside = volume.reshape(-1)[self._where].astype(np.float64)
        return np.bincount(self._number, inside, len(self.values)) / np.maximum(self._count, 1)


def painting(atlas: Path, values: tuple[int, ...], spacing: tuple[float, ...]) -> NDArray[np.int16]:
    """Map each voxel of a plan's grid to its region, so that series of regions can be expanded to volumes.

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
        1 + column of the region with the largest share of the voxel; 0: background. Cropped to the regions.
    """
    image, _ = load_atlas(atlas)
    orientation = orientations.io_orientation(image.affine)
    labels = orientations.apply_orientation(np.asarray(image.dataobj), orientation)
    columns = np.zeros(labels.shape, dtype=np.int16)
    for column, value in enumerate(values, start=1):
        columns[labels == value] = column
    if not columns.any():
        raise UserError(f"{atlas} has none of the regions of the series", "use the atlas of the series")
    box = nonzero_box(columns[None])
    size = target_size(box, voxel_size(image.affine, orientation), spacing)
    columns = resample_labels(columns[inside_box(box)], len(values) + 1, size)
    return np.ascontiguousarray(columns.transpose(2, 1, 0))
