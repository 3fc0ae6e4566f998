"""Views of a run that are smaller than its volumes: maps over time, and correlations of an atlas's regions."""

import numpy as np
from numpy.typing import NDArray

LARGEST = 0.999999  # bound of correlations, so that Fisher's z is finite


def correlations(series: NDArray) -> NDArray[np.float32]:
    """Return Fisher's z of the correlation of each pair of regions.

    Parameters
    ----------
    series : ndarray, (T, R)
        Cleaned series.

    Returns
    -------
    ndarray, (R, R), float32
        Symmetric, 0 on the diagonal and for constant regions.
    """
    values = np.asarray(series, dtype=np.float64)
    moving = values.std(axis=0) > 0
    result = np.zeros((values.shape[1],) * 2)
    if moving.sum() > 1:
        # nilearn's ConnectivityMeasure takes three times as long, and training correlates a part of a run per sample.
        found = np.corrcoef(values[:, moving], rowvar=False)
        result[np.ix_(moving, moving)] = np.arctanh(np.clip(found, -LARGEST, LARGEST))
    np.fill_diagonal(result, 0)
    return result.astype(np.float32)


def maps(mean: NDArray, deviation: NDArray, mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the mean and the standard deviation over time of a run, each standardised over the brain.

    Parameters
    ----------
    mean, deviation : ndarray, (V,)
        Of the voxels of the mask.
    mask : ndarray of bool, (D, H, W)
        The brain, with V voxels.

    Returns
    -------
    ndarray, (2, D, H, W), float32
        0 outside the brain.
    """
    result = np.zeros((2, *mask.shape), np.float32)
    for channel, values in zip(result, (mean, deviation), strict=True):
        spread = values.std()
        if spread > 0:
            channel[mask] = (values - values.mean()) / spread
    return result
