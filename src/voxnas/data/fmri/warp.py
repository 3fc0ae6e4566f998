"""Places of voxels, where transforms take them, and volumes sampled there.

All transforms of a volume are put together before anything is interpolated, so that it is interpolated once.
"""

from __future__ import annotations

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from voxnas.data.fmri.volumes import TO_LPS, Array, Volume, to_itk

Points = NDArray[np.float64]


def grid_points(grid: Volume) -> Points:
    """Places of all voxels of a grid in mm, (X * Y * Z, 3)."""
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in grid.array.shape), indexing="ij"), axis=-1)
    return nib.affines.apply_affine(grid.affine, voxels.reshape(-1, 3))


def move_grid(grid: Volume, transform: sitk.Transform) -> Points:
    """Where a transform of SimpleITK takes all voxels of a grid, in mm, (X * Y * Z, 3)."""
    like = to_itk(grid)
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, like.GetSize(), like.GetOrigin(), like.GetSpacing(), like.GetDirection()
    )
    shift = sitk.GetArrayViewFromImage(field).transpose(2, 1, 0, 3).reshape(-1, 3)
    return grid_points(grid) + shift * np.diag(TO_LPS)[:3]


def sample(volume: Volume, points: Array, order: int = 3) -> NDArray[np.float32]:
    """A volume at the given places, by splines; 0 outside of it.

    Parameters
    ----------
    volume : Volume
        What is sampled.
    points : ndarray, (N, 3)
        In mm.
    order : int
        3: cubic splines, 1: linear, 0: nearest voxel.

    Returns
    -------
    ndarray, (N,), float32
    """
    voxels = nib.affines.apply_affine(np.linalg.inv(volume.affine), points).T
    array = np.asarray(volume.array, dtype=np.float32)
    return ndimage.map_coordinates(array, voxels, order=order, mode="constant", cval=0.0, output=np.float32)


def resample(volume: Volume, grid: Volume, order: int = 1) -> Volume:
    """A volume on another grid, without any transform between them."""
    return grid.with_array(sample(volume, grid_points(grid), order).reshape(grid.array.shape))
