"""Brain masks of the mean of a run and of a T1-weighted image, from the image alone."""

import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from voxnas.core.errors import ScanError
from voxnas.data.fmri.volumes import Volume
from voxnas.data.fmri.warp import Points, sample

THIN = 16  # voxels along an axis below which nilearn's opening would remove the brain
STRIPPED = 0.2  # share of voxels equal to 0 above which an image is considered skull-stripped
MARGIN_MM = 6.0  # added around the brain of a run, for the T1-weighted image


def bold_mask(mean: Volume) -> NDArray[np.bool_]:
    """Compute the brain mask of the mean of a run from its histogram (:func:`nilearn.masking.compute_epi_mask`).

    Parameters
    ----------
    mean : Volume
        After bias correction. The mask of a slab of few slices is a threshold at 10 % of the 98th percentile.

    Returns
    -------
    ndarray of bool, (X, Y, Z)

    Raises
    ------
    ScanError
        If no brain is found.
    """
    from nilearn.masking import compute_epi_mask

    array = mean.array.astype(np.float32)
    if min(array.shape) < THIN:
        mask = array > 0.1 * np.percentile(array, 98)
    else:
        image = nib.Nifti1Image(array, mean.affine)
        try:
            # An opening of one voxel suffices for the voxel sizes of BOLD. The filled holes are ventricles.
            found = compute_epi_mask(image, opening=1, exclude_zeros=is_stripped(mean.with_array(array)))
        except Exception as error:  # nilearn raises several kinds of errors for images without a brain
            raise ScanError(f"no brain is found in the mean volume: {error}", "check the image") from None
        mask = ndimage.binary_fill_holes(np.asarray(found.dataobj) > 0)
    if not mask.any():
        raise ScanError("no brain is found in the mean volume", "check the image")
    return mask


def is_stripped(image: Volume) -> bool:
    """Return whether an image is skull-stripped."""
    return bool((image.array == 0).mean() > STRIPPED)


def anatomical_mask(image: Volume, brain: Volume, points: Points) -> NDArray[np.bool_]:
    """Compute the brain mask of a T1-weighted image.

    Parameters
    ----------
    image : Volume
        T1-weighted image.
    brain : Volume
        Mask of the run's mean.
    points : ndarray, (X * Y * Z, 3)
        Position in the run of each voxel of the image, in mm.

    Returns
    -------
    ndarray of bool, (X, Y, Z)
        The non-zero voxels of a skull-stripped image; else the run's mask with a margin, because a run does not
        show the whole cortex.
    """
    if is_stripped(image):
        return ndimage.binary_fill_holes(image.array > 0)
    distance = ndimage.distance_transform_edt(~brain.array, sampling=nib.affines.voxel_sizes(brain.affine))
    inside = sample(brain.with_array(MARGIN_MM - distance), points, order=1) > 0
    return inside.reshape(image.array.shape)
