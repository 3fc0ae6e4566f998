"""Measures of the quality of a run, computed volume by volume, and the criteria of exclusion.

=====================  ==============================================================================
``tsnr``               median over the brain of mean / standard deviation over time, after removal of
                       a linear trend (Welvaert & Rosseel 2013, doi:10.1371/journal.pone.0077089)
``mean_fd_mm``         mean framewise displacement from the second volume on; ``max_fd_mm`` the largest
``mean_dvars``         mean over time of the root mean square change of the brain from one volume to
                       the next, in percent of its mean signal (Power et al. 2012), and ``max_dvars``
``start_excess``       mean signal of the first volume over the median volume, in percent: residual of
                       the approach to the steady state
``mask_overlap``       Dice overlap of the brain mask with the template's, in the template's space
``brain_ml``           volume of the brain mask
``anatomical_overlap`` Dice overlap of the brain masks of the run and of the T1-weighted image,
                       ``bias_range`` of the bias field, and ``left_out``, the omitted steps with their
                       reasons, for runs processed by the spatial steps
``frames``, ``kept``   volumes of the series, and after scrubbing; ``seconds`` of the latter
=====================  ==============================================================================

All but the last describe the series before the cleaning, on its own grid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from voxnas.core.settings import QualitySettings
from voxnas.data.fmri.confounds import Confounds
from voxnas.data.fmri.source import Series, Source, to_grid

CARPET_VOXELS = 240  # of a carpet plot, evenly spaced through the brain
SLICES = 9  # of a mosaic
COLUMNS = [
    *("tsnr", "mean_fd_mm", "max_fd_mm", "mean_dvars", "max_dvars", "start_excess", "mask_overlap", "brain_ml"),
    *("anatomical_overlap", "bias_range", "left_out", "frames", "kept", "seconds"),
]
LIMITED = {
    "mean_fd_mm": "mean framewise displacement {:.3g} mm",
    "mean_dvars": "mean DVARS {:.3g} %",
    "tsnr": "temporal signal-to-noise ratio {:.3g}",
    "mask_overlap": "overlap with the template's mask {:.3g}",
    "seconds": "{:.4g} s are left",
}
AT_MOST = ("mean_fd_mm", "mean_dvars")  # limits of these are upper limits, the others lower limits
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Measured:
    """Result of :class:`Meter`.

    Attributes
    ----------
    tsnr : float
        Median over the brain.
    dvars, signal : ndarray, (T,)
        DVARS in percent (0 for the first volume), and mean of the brain.
    mean : ndarray, (X, Y, Z)
        Mean over time.
    carpet : ndarray, (n, T), float32
        Series of a sample of voxels of the brain.
    """

    tsnr: float
    dvars: Values
    signal: Values
    mean: Values
    carpet: NDArray[np.float32]


class Meter:
    """Accumulates the measures of quality over the volumes of a run.

    Parameters
    ----------
    frames : int
        T.
    mask : ndarray of bool, (X, Y, Z)
        The brain.
    """

    def __init__(self, frames: int, mask: NDArray[np.bool_]) -> None:
        self._mask = mask
        inside = int(mask.sum())
        self._sample = np.unique(np.linspace(0, inside - 1, min(CARPET_VOXELS, inside)).round().astype(int))
        self._carpet = np.zeros((len(self._sample), frames), np.float32)
        self._change, self._signal = np.zeros(frames), np.zeros(frames)
        self._mean = np.zeros(mask.shape)
        # Sums over time of the deviation from the first volume, which preserves precision.
        self._first: Values = np.zeros(inside)
        self._sums = np.zeros((3, inside))
        self._last: Values | None = None
        self._count = 0

    def add(self, volume: NDArray[np.float32]) -> None:
        """Add the next volume, (X, Y, Z)."""
        values = volume[self._mask].astype(np.float64)
        if self._last is None:
            self._first = values
        else:
            self._change[self._count] = np.sqrt(np.mean((values - self._last) ** 2))
        offset = values - self._first
        self._sums += offset, offset**2, offset * self._count
        self._carpet[:, self._count] = values[self._sample]
        self._signal[self._count] = values.mean()
        self._mean += volume
        self._last = values
        self._count += 1

    def finish(self) -> Measured:
        """Return the measures of all volumes so far."""
        n, (total, squares, timed) = self._count, self._sums
        middle, spread = (n - 1) / 2, n * (n**2 - 1) / 12  # mean and sum of squares of the times 0 .. n-1
        slope = (timed - middle * total) / spread
        left = np.clip(squares - total**2 / n - slope**2 * spread, 0, None)
        deviation = np.sqrt(left / max(1, n - 2))
        moving = deviation > 0
        level = (self._first + total / n)[moving]
        tsnr = float(np.median(np.abs(level) / deviation[moving])) if moving.any() else 0.0
        scale = 100 / max(abs(self._signal[:n].mean()), 1e-12)
        return Measured(tsnr, self._change * scale, self._signal, self._mean / n, self._carpet)


@lru_cache(maxsize=1)
def _template() -> nib.Nifti1Image:
    from nilearn.datasets import load_mni152_brain_mask

    return load_mni152_brain_mask(resolution=2)


def mask_overlap(mask: NDArray[np.bool_], series: Series, space: str) -> float | None:
    """Return the Dice overlap of a brain mask with the template's in the field of view; None outside MNI space."""
    if not space.startswith("MNI"):
        return None
    template = to_grid(_template(), series) > 0
    total = int(mask.sum()) + int(template.sum())
    return 2 * int((mask & template).sum()) / total if total else 0.0


def summarize(
    measured: Measured, confounds: Confounds, source: Source, overlap: float | None, brain_ml: float
) -> dict[str, Any]:
    """Return the row of a run in the table of quality (:data:`COLUMNS`); None for unknown measures."""
    moved = confounds.displacement
    kept = int(confounds.kept.sum())
    middle = float(np.median(measured.signal))
    return {
        "tsnr": measured.tsnr,
        "mean_fd_mm": None if moved is None else float(moved[1:].mean()),
        "max_fd_mm": None if moved is None else float(moved.max()),
        "mean_dvars": float(measured.dvars[1:].mean()),
        "max_dvars": float(measured.dvars[1:].max()),
        "start_excess": 100 * (float(measured.signal[0]) - middle) / abs(middle) if middle else 0.0,
        "mask_overlap": overlap,
        "brain_ml": brain_ml,
        **{name: source.found.get(name) for name in ("anatomical_overlap", "bias_range", "left_out")},
        "frames": len(confounds.kept),
        "kept": kept,
        "seconds": kept * source.repetition_time,
    }


def reason_to_exclude(row: Mapping[str, Any], limits: QualitySettings, least_frames: int) -> str:
    """Return the reason to exclude a run; empty if its quality is sufficient.

    Parameters
    ----------
    row : mapping
        Of :func:`summarize`. Unknown measures do not exclude a run.
    limits : QualitySettings
    least_frames : int
        Volumes that a clip spans.
    """
    reasons = []
    for key, name in LIMITED.items():
        limit, value = getattr(limits, key), row.get(key)
        most = key in AT_MOST
        if limit is not None and value is not None and (value > limit if most else value < limit):
            reasons.append(f"{name.format(value)}, {'at most' if most else 'at least'} {limit:g}")
    if row["kept"] < least_frames:
        reasons.append(f"{row['kept']} volumes are left, a clip spans {least_frames}")
    return "; ".join(reasons)


def mosaic(volume: NDArray, slices: int = SLICES) -> NDArray:
    """Return axial slices (n, Y, X), evenly spaced over the slices that are not zero."""
    filled = np.flatnonzero(np.asarray(volume).any(axis=(0, 1)))
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, volume.shape[2] - 1)
    chosen = np.unique(np.linspace(first, last, slices + 2)[1:-1].round().astype(int))
    return np.ascontiguousarray(volume[:, :, chosen].T)
