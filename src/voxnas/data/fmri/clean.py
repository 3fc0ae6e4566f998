"""Cleaning of time series, block by block of voxels.

Order of operations, as in :func:`nilearn.signal.clean`: linear detrending; Butterworth filter, also of the confounds,
so that the regression does not reintroduce filtered frequencies (Lindquist et al. 2019, doi:10.1002/hbm.24528);
regression of the confounds; standardisation. Scrubbed volumes are interpolated before the filter and removed after it
(Power et al. 2014, doi:10.1016/j.neuroimage.2013.08.048); without a filter they are removed first. Every step treats
voxels independently, so the result does not depend on the blocks.

nilearn computes the regression and the filter, but the filter separately: :func:`nilearn.signal.clean` (0.13.1) filters
voxel by voxel, about fifty times slower, and its interpolation does not replace a scrubbed volume if the volume at the
same distance from the other end of the run is scrubbed too.
"""

import warnings
from dataclasses import dataclass

import numpy as np
from nilearn.signal import butterworth, clean
from numpy.typing import NDArray
from scipy import interpolate, signal

from voxnas.core.settings import CleaningSettings
from voxnas.data.fmri.confounds import Confounds

CONSTANT = 1e-6  # standard deviation over time, relative to the largest value, up to which a voxel counts as constant


@dataclass(frozen=True)
class Cleaned:
    """A cleaned block.

    Attributes
    ----------
    series : ndarray, (T, v), float32
        The kept volumes.
    mean, deviation : ndarray, (v,)
        Over time: mean before the cleaning, standard deviation after it and before the standardisation.
    """

    series: NDArray[np.float32]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def clean_block(block: NDArray, confounds: Confounds, settings: CleaningSettings, repetition_time: float) -> Cleaned:
    """Clean a block of voxels.

    Parameters
    ----------
    block : ndarray, (T, v)
        Series of the voxels over all volumes.
    confounds : Confounds
        Of the run.
    settings : CleaningSettings
    repetition_time : float
        In s.

    Notes
    -----
    With ``high_pass`` among the confounds, cosines model slow drifts and the Butterworth filter has no lower cut-off.
    A voxel that is constant after the cleaning is 0 (its mean, with ``none``).
    """
    values, regressors = np.asarray(block, dtype=np.float64), confounds.values
    kept = values[confounds.kept]
    mean, largest = kept.mean(axis=0), np.abs(kept).max(axis=0)
    high_pass = None if "high_pass" in settings.confounds else settings.high_pass
    band = (high_pass, settings.low_pass)
    filtered = band != (None, None)
    if filtered:
        kept, regressors = (_filtered(x, confounds.kept, band, repetition_time) for x in (values, regressors))
    else:
        regressors = regressors[confounds.kept]
    with warnings.catch_warnings():
        # nilearn announces changes of defaults, none of which is used here.
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
        cleaned = clean(
            kept,
            detrend=not filtered,
            standardize=None,
            confounds=regressors if regressors.shape[1] else None,
            standardize_confounds=True,
            filter=None,
        )
    cleaned = cleaned - cleaned.mean(axis=0)  # filter and scrubbing leave a small mean
    deviation = cleaned.std(axis=0, ddof=1)
    deviation[deviation <= CONSTANT * largest] = 0
    return Cleaned(standardized(cleaned, mean, deviation, settings.standardize), mean, deviation)


def _filtered(
    values: NDArray[np.float64], kept: NDArray[np.bool_], band: tuple[float | None, float | None], interval: float
) -> NDArray[np.float64]:
    """Detrend and filter series; return the kept volumes. Volumes between them are interpolated by cubic splines."""
    if not values.shape[1]:
        return values[kept]
    times = np.flatnonzero(kept)
    inside = slice(times[0], times[-1] + 1)  # without extrapolation
    values = values[inside]
    if not kept[inside].all():
        values = interpolate.CubicSpline(times, values[kept[inside]])(np.arange(inside.start, inside.stop))
    filtered = butterworth(signal.detrend(values, axis=0), 1 / interval, low_pass=band[1], high_pass=band[0], copy=True)
    return filtered[kept[inside]]


def standardized(
    cleaned: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64], method: str
) -> NDArray[np.float32]:
    """Standardise series (T, v) of zero mean by a method of the settings.

    Parameters
    ----------
    cleaned : ndarray, (T, v)
        Series.
    mean, deviation : ndarray, (v,)
        Mean before the cleaning, and standard deviation after it; 0: constant.
    method : {"zscore", "percent", "none"}
        Unit variance, percent of the mean, or the original units with the mean. Constant series are 0 (their mean,
        with ``none``).
    """
    moving = deviation > 0
    result = np.where(moving, cleaned, 0)
    if method == "none":
        return (result + mean).astype(np.float32)
    scale = deviation if method == "zscore" else np.abs(mean) / 100
    return np.divide(result, scale, out=np.zeros_like(result), where=moving & (scale > 0)).astype(np.float32)
