"""Cleaning of time series, block by block of voxels.

Order of operations, for each voxel alone: linear detrending; Butterworth filter, of the confounds as well, so that
what was filtered out does not come back (Lindquist et al. 2019, doi:10.1002/hbm.24528); regression of the confounds;
scrubbed volumes are interpolated before the filter and left out after it (Power et al. 2014,
doi:10.1016/j.neuroimage.2013.08.048); standardisation. The first four are :func:`nilearn.signal.clean`'s. No step
looks at another voxel, so blocks give what the whole image would.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from nilearn.signal import clean
from numpy.typing import NDArray

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


def clean_block(block: NDArray, confounds: Confounds, settings: Mapping[str, Any], repetition_time: float) -> Cleaned:
    """Clean some voxels.

    Parameters
    ----------
    block : ndarray, (T, v)
        All volumes of some voxels.
    confounds : Confounds
        Of the run.
    settings : mapping
        ``confounds``, ``high_pass`` and ``low_pass`` in Hz (None: not), ``standardize`` (zscore, percent or none).
    repetition_time : float
        Seconds between volumes.

    Notes
    -----
    With ``high_pass`` among the confounds, slow drifts are regressed out by cosines and the Butterworth filter has
    no lower end. A voxel that is constant after the cleaning is 0 (its mean, with ``none``).
    """
    values = np.array(block, dtype=np.float64)  # the filter works in place
    mean = values[confounds.kept].mean(axis=0)
    largest = np.abs(values).max(axis=0)
    high_pass = None if "high_pass" in settings["confounds"] else settings["high_pass"]
    filtered = high_pass is not None or settings["low_pass"] is not None
    with warnings.catch_warnings():
        # It announces other defaults; every value here is given.
        warnings.simplefilter("ignore", (DeprecationWarning, FutureWarning))
        cleaned = clean(
            values,
            detrend=True,
            standardize=None,
            sample_mask=None if confounds.kept.all() else np.flatnonzero(confounds.kept),
            confounds=confounds.values.copy() if confounds.values.shape[1] else None,
            standardize_confounds=True,
            filter="butterworth" if filtered else None,
            low_pass=settings["low_pass"],
            high_pass=high_pass,
            t_r=repetition_time,
            ensure_finite=False,
        )
    cleaned = cleaned - cleaned.mean(axis=0)  # a filter, or scrubbing, leaves a little
    deviation = cleaned.std(axis=0, ddof=1)
    deviation[deviation <= CONSTANT * largest] = 0
    return Cleaned(standardized(cleaned, mean, deviation, settings["standardize"]), mean, deviation)


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
