"""Cleaning of time series, block by block of voxels.

Order of operations, for each voxel alone, as of :func:`nilearn.signal.clean`: linear detrending; Butterworth filter, of
the confounds as well, so that what was filtered out does not come back (Lindquist et al. 2019,
doi:10.1002/hbm.24528); regression of the confounds; standardisation. Scrubbed volumes are interpolated before the
filter and left out after it (Power et al. 2014, doi:10.1016/j.neuroimage.2013.08.048); without a filter they are left
out first. No step looks at another voxel, so blocks give what the whole image would.

nilearn does the regression. It filters too, but not within :func:`nilearn.signal.clean`, which (0.13.1) filters one
voxel after the other, about fifty times slower, and whose interpolation leaves a scrubbed volume as it was where the
volume that lies as far from the other end of the run is scrubbed as well.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from nilearn.signal import butterworth, clean
from numpy.typing import NDArray
from scipy import interpolate, signal

from voxnas.core.settings import CleaningSettings
from voxnas.data.fmri.confounds import Confounds

CONSTANT = 1e-6  # deviation over time, relative to the largest value, below which a voxel is constant


@dataclass(frozen=True)
class Cleaned:
    """A cleaned block.

    Attributes
    ----------
    series : ndarray, (T, v), float32
        Without the volumes that were left out.
    mean, deviation : ndarray, (v,)
        Over time: mean before the cleaning, standard deviation after it and before standardisation.
    """

    series: NDArray[np.float32]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]


def clean_block(block: NDArray, confounds: Confounds, settings: CleaningSettings, repetition_time: float) -> Cleaned:
    """Clean some voxels.

    Parameters
    ----------
    block : ndarray, (T, v)
        All volumes of some voxels.
    confounds : Confounds
        Of the run.
    settings : CleaningSettings
    repetition_time : float
        Seconds between volumes.

    Notes
    -----
    With ``high_pass`` among the confounds, slow drifts are regressed out by cosines and the Butterworth filter has
    no lower end. A voxel that is constant after the cleaning is 0 (its mean, with ``none``).
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
        # It announces other defaults; every value here is given.
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
        cleaned = clean(
            kept,
            detrend=not filtered,
            standardize=None,
            confounds=regressors if regressors.shape[1] else None,
            standardize_confounds=True,
            filter=None,
        )
    cleaned = cleaned - cleaned.mean(axis=0)  # a filter, or scrubbing, leaves a little
    deviation = cleaned.std(axis=0, ddof=1)
    deviation[deviation <= CONSTANT * largest] = 0
    return Cleaned(standardized(cleaned, mean, deviation, settings.standardize), mean, deviation)


def _filtered(
    values: NDArray[np.float64], kept: NDArray[np.bool_], band: tuple[float | None, float | None], interval: float
) -> NDArray[np.float64]:
    """Detrended and filtered series of the kept volumes; those between them are interpolated by cubic splines."""
    if not values.shape[1]:
        return values[kept]
    times = np.flatnonzero(kept)
    inside = slice(times[0], times[-1] + 1)  # nothing is extrapolated
    values = values[inside]
    if not kept[inside].all():
        values = interpolate.CubicSpline(times, values[kept[inside]])(np.arange(inside.start, inside.stop))
    filtered = butterworth(signal.detrend(values, axis=0), 1 / interval, low_pass=band[1], high_pass=band[0], copy=True)
    return filtered[kept[inside]]


def standardized(
    cleaned: NDArray[np.float64], mean: NDArray[np.float64], deviation: NDArray[np.float64], method: str
) -> NDArray[np.float32]:
    """Series (T, v) of zero mean by the settings' ``standardize``; what is constant is 0 (its mean, with ``none``)."""
    moving = deviation > 0
    result = np.where(moving, cleaned, 0)
    if method == "none":
        return (result + mean).astype(np.float32)
    scale = deviation if method == "zscore" else np.abs(mean) / 100
    return np.divide(result, scale, out=np.zeros_like(result), where=moving & (scale > 0)).astype(np.float32)
