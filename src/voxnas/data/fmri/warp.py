"""Positions of voxels, their images under transforms, and sampling of volumes at these points.

All transforms of a volume are composed before it is sampled, so that it is interpolated only once.
"""

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from voxnas.data.fmri.volumes import TO_LPS, Array, Volume, to_itk

Points = NDArray[np.float64]


def grid_points(grid: Volume) -> Points:
    """Return the positions of all voxels of a grid in mm, (X * Y * Z, 3)."""
    return nib.affines.apply_affine(grid.affine, np.moveaxis(np.indices(grid.array.shape), 0, -1).reshape(-1, 3))


def move_grid(grid: Volume, transform: sitk.Transform) -> Points:
    """Map the positions of all voxels of a grid by a transform of SimpleITK, in mm, (X * Y * Z, 3)."""
    like = to_itk(grid)
    field = sitk.TransformToDisplacementField(
        transform, sitk.sitkVectorFloat64, like.GetSize(), like.GetOrigin(), like.GetSpacing(), like.GetDirection()
    )
    shift = sitk.GetArrayViewFromImage(field).transpose(2, 1, 0, 3).reshape(-1, 3)
    return grid_points(grid) + shift * np.diag(TO_LPS)[:3]


def sample(volume: Volume, points: Array, order: int = 3) -> NDArray[np.float32]:
    """Sample a volume at the given points by spline interpolation; 0 outside the volume.

    Parameters
    ----------
    volume : Volume
        The sampled volume.
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
