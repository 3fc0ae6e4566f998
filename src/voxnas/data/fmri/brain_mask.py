"""Which voxels are brain, by the image alone: of the mean of a run, and of a T1-weighted image."""

from __future__ import annotations

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from voxnas.core.errors import ScanError
from voxnas.data.fmri.volumes import Volume
from voxnas.data.fmri.warp import Points, sample

THIN = 16  # voxels along an axis below which nilearn's opening would remove the brain
STRIPPED = 0.2  # share of voxels that are exactly 0 in an image without skull and air
MARGIN_MM = 6.0  # around the brain of a run, for the T1-weighted image


def bold_mask(mean: Volume) -> NDArray[np.bool_]:
    """Brain mask of the mean of a run, by its histogram (:func:`nilearn.masking.compute_epi_mask`).

    Parameters
    ----------
    mean : Volume
        After bias correction. Of a slab of few slices, the voxels above a tenth of the brightest are taken.

    Returns
    -------
    ndarray of bool, (X, Y, Z)

    Raises
    ------
    ScanError
        If nothing in the image looks like a brain.
    """
    from nilearn.masking import compute_epi_mask

    array = mean.array.astype(np.float32)
    if min(array.shape) < THIN:
        mask = array > 0.1 * np.percentile(array, 98)
    else:
        image = nib.Nifti1Image(array, mean.affine)
        try:
            # Holes are ventricles; an opening of less than two voxels is enough for voxels as large as BOLD's.
            found = compute_epi_mask(image, opening=1, exclude_zeros=bool((array == 0).mean() > STRIPPED))
        except Exception as error:  # nilearn raises of several kinds where nothing looks like a brain
            raise ScanError(f"no brain is found in the mean volume: {error}", "check the image") from None
        mask = ndimage.binary_fill_holes(np.asarray(found.dataobj) > 0)
    if not mask.any():
        raise ScanError("no brain is found in the mean volume", "check the image")
    return mask


def is_stripped(image: Volume) -> bool:
    """Whether a T1-weighted image holds nothing but the brain."""
    return bool((image.array == 0).mean() > STRIPPED)


def anatomical_mask(image: Volume, brain: Volume, places: Points) -> NDArray[np.bool_]:
    """Brain mask of a T1-weighted image.

    Parameters
    ----------
    image : Volume
        T1-weighted image.
    brain : Volume
        Mask of the run's mean.
    places : ndarray, (X * Y * Z, 3)
        Where each voxel of the image lies in the run, in mm.

    Returns
    -------
    ndarray of bool, (X, Y, Z)
        Of an image without skull, what is not 0; else the run's mask, a little larger, because a run does not
        show all of the cortex.
    """
    if is_stripped(image):
        return ndimage.binary_fill_holes(image.array > 0)
    distance = ndimage.distance_transform_edt(~brain.array, sampling=nib.affines.voxel_sizes(brain.affine))
    inside = sample(brain.with_array(MARGIN_MM - distance), places, order=1) > 0
    return inside.reshape(image.array.shape)
