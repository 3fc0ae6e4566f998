"""Slice timing correction: the series of each slice is interpolated to the middle of the repetition time.

The kernel is a sinc in a Lanczos window of four volumes to each side, an approximation of the ideal interpolation of a
band-limited series (Sladky et al. 2011 compare methods; SPM and AFNI use sincs too). A slice is shifted by the same
time in all volumes, so nine volumes in memory suffice.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

HALF = 4  # volumes to each side
MIDDLE = 0.5  # reference time of the slices, as a share of the repetition time


def read_slice_times(
    sidecar: Mapping[str, Any], shape: Sequence[int], repetition_time: float
) -> tuple[NDArray[np.float64], int] | str:
    """Read the acquisition time of each slice from a BIDS sidecar.

    Parameters
    ----------
    sidecar : mapping
        ``SliceTiming`` (s), ``SliceEncodingDirection`` (``k`` by default, ``k-``: the times are
        listed from the last slice to the first).
    shape : sequence of int
        (X, Y, Z) of the file.
    repetition_time : float
        In s.

    Returns
    -------
    times, axis : ndarray, and int
        Times in s, in the order of the slices along the axis; or, instead of both, the reason why slice timing
        cannot be corrected.
    """
    times = sidecar.get("SliceTiming")
    if times is None:
        return "the sidecar has no SliceTiming"
    direction = str(sidecar.get("SliceEncodingDirection", "k"))
    if direction.rstrip("-") not in ("i", "j", "k"):
        return f"SliceEncodingDirection {direction!r} is not one of i, j, k with an optional -"
    axis = "ijk".index(direction[0])
    try:
        found = np.asarray(times, dtype=float)
    except (TypeError, ValueError):
        return "SliceTiming is not a list of numbers"
    if found.ndim != 1 or len(found) != shape[axis]:
        return f"SliceTiming has {found.size} times for {shape[axis]} slices"
    if not np.isfinite(found).all() or found.min() < 0:
        return "SliceTiming has times that are negative or not finite"
    if found.max() >= repetition_time:
        unit = "; are they in ms?" if found.max() > 50 else ""
        return f"SliceTiming has {found.max():g} s, beyond the repetition time of {repetition_time:g} s{unit}"
    if np.ptp(found) == 0:
        return "all slices were acquired at once"
    return (found[::-1] if direction.endswith("-") else found), axis


def lanczos(distance: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the weights at the given distances, in samples."""
    return np.sinc(distance) * np.sinc(distance / HALF) * (np.abs(distance) < HALF)


def shift_slices(
    volumes: Iterator[NDArray], times: NDArray[np.floating], axis: int, repetition_time: float
) -> Iterator[NDArray]:
    """Interpolate the slices of the volumes to the middle of the repetition time.

    Parameters
    ----------
    volumes : iterator of ndarray, (X, Y, Z)
        In order; beyond both ends the first and the last volume are repeated.
    times : ndarray, (slices,)
        Of :func:`read_slice_times`, in s.
    axis : int
        Axis of the slices in the volumes.
    repetition_time : float
        In s.
    """
    later = MIDDLE - np.asarray(times, dtype=float) / repetition_time  # delay after the acquisition, in volumes
    taps = np.arange(-HALF, HALF + 1)
    weights = lanczos(taps[:, None] - later[None])
    weights /= weights.sum(axis=0)
    shape = [1, 1, 1]
    shape[axis] = -1
    shaped = [w.reshape(shape).astype(np.float32) for w in weights]

    window: deque[NDArray] = deque(maxlen=len(taps))
    for volume in _with_ends(volumes):
        window.append(volume)
        if len(window) == len(taps):
            blend = np.zeros_like(volume, dtype=np.float32)
            for weight, tap in zip(shaped, window, strict=True):
                blend += weight * tap
            yield blend


def _with_ends(volumes: Iterator[NDArray]) -> Iterator[NDArray]:
    """Yield the volumes, with the first and the last repeated."""
    last = next(volumes, None)
    if last is None:
        return
    yield from [last] * (HALF + 1)
    for last in volumes:
        yield last
    yield from [last] * HALF
