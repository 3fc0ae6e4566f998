"""The bias field, the smooth intensity variation caused by the receiving coil (N4; Tustison et al. 2010).

The field is fixed to the scanner while the head moves, so volumes are divided by it before motion correction.
"""

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from voxnas.data.fmri.volumes import Volume, to_itk

ITERATIONS = (50, 50, 30)  # at each level, from coarse control points to fine ones
COARSE_MM = 6.0  # voxel size of the fit, coarse because the field is smooth
SMALLEST_AXIS = 4


def bias_field(volume: Volume, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Estimate the bias field of an image.

    Parameters
    ----------
    volume : Volume
        Mean of a run, or a T1-weighted image.
    mask : ndarray of bool, (X, Y, Z)
        Domain of the fit: the brain, or the head.

    Returns
    -------
    ndarray, (X, Y, Z), float32
        Divisor of the image, positive, with a geometric mean of 1 in the mask; 1 everywhere if the image is too thin.
    """
    if min(volume.array.shape) < SMALLEST_AXIS or not mask.any():
        return np.ones(volume.array.shape, dtype=np.float32)
    whole = to_itk(volume)
    factors = [
        max(1, min(round(COARSE_MM / s), n // SMALLEST_AXIS))
        for s, n in zip(whole.GetSpacing(), whole.GetSize(), strict=True)
    ]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetNumberOfThreads(1)
    n4.SetMaximumNumberOfIterations(ITERATIONS)
    n4.Execute(sitk.Shrink(whole, factors), sitk.Shrink(to_itk(volume.with_array(mask)), factors))
    log_field = sitk.GetArrayFromImage(n4.GetLogBiasFieldAsImage(whole)).T
    return np.exp(log_field - log_field[mask].mean()).astype(np.float32)
