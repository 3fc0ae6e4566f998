"""Doubts about voxels that do not keep a scan from being used; each becomes a warning in the index."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def check_voxels(array: NDArray) -> list[str]:
    """Warnings about the voxels of one image: not finite, or all the same.

    Parameters
    ----------
    array : ndarray, (X, Y, Z) or (X, Y, Z, C)
        Voxels as stored or scaled.
    """
    warnings = []
    finite = np.isfinite(array) if array.dtype.kind == "f" else None
    if finite is not None and not finite.all():
        warnings.append(f"{int((~finite).sum())} of {array.size} voxels are not finite, read as 0")
        array = np.where(finite, array, 0)
    low, high = array.min(), array.max()
    if low == high:
        warnings.append("all voxels are zero" if low == 0 else f"all voxels are {low:g}")
    return warnings


def check_volumes(array: NDArray) -> list[str]:
    """Warnings about the volumes of a 4D image: empty ones, and ones that repeat the one before.

    Parameters
    ----------
    array : ndarray, (X, Y, Z, T)
        Voxels. Volumes are counted from 0.
    """
    flat = array.reshape(-1, array.shape[-1])
    empty = ~flat.any(axis=0)
    if empty.all():
        return []
    frozen = np.concatenate([[False], (flat[:, 1:] == flat[:, :-1]).all(axis=0)]) & ~empty
    warnings = []
    if empty.any():
        warnings.append(f"volume {_spans(empty)} all zero (dropped)")
    if frozen.any():
        warnings.append(f"volume {_spans(frozen)} the same as the one before (frozen)")
    return warnings


def check_bold(array: NDArray, header_step: float, repetition_time: float | None) -> list[str]:
    """Warnings about a BOLD series: its volumes, and its repetition time.

    Parameters
    ----------
    array : ndarray, (X, Y, Z, T)
        Voxels.
    header_step : float
        ``pixdim[4]`` in seconds, 0 where the header does not say.
    repetition_time : float or None
        From the sidecar, in seconds; it counts where both are given.
    """
    warnings = check_volumes(array)
    if repetition_time is None and not header_step > 0:
        warnings.append("no repetition time, neither in the header nor in a sidecar")
    elif repetition_time is not None and header_step > 0 and abs(repetition_time - header_step) > 1e-3:
        warnings.append(
            f"repetition time is {header_step:g} s in the header and {repetition_time:g} s in the sidecar, which counts"
        )
    return warnings


def _spans(flags: NDArray[np.bool_]) -> str:
    """``[F, T, F, T, T]`` as ``1, 3-4``, at most five spans."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(int), [0]])))
    texts = [str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in edges.reshape(-1, 2)]
    return ", ".join(texts[:5]) + (", ..." if len(texts) > 5 else "")
