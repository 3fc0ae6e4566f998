"""Doubts about voxels that do not keep a scan from being used; each becomes a warning in the index."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


class VoxelChecks:
    """Looks at the volumes of one image, one after another, and keeps no more than the last of them."""

    def __init__(self) -> None:
        self.size = self.not_finite = 0
        self.low, self.high = np.inf, -np.inf
        self._empty: list[bool] = []
        self._frozen: list[bool] = []
        self._last: NDArray | None = None
        self._digest = hashlib.sha256()

    def add(self, volume: NDArray) -> None:
        """Look at one volume.

        Parameters
        ----------
        volume : ndarray, (X, Y, Z)
            Voxels as scaled by the header.
        """
        if not self._empty:
            self._digest.update(repr(volume.shape).encode())
        with np.errstate(over="ignore", invalid="ignore"):
            self._digest.update(volume.astype(np.float32).tobytes(order="F"))
        self.size += volume.size
        finite = np.isfinite(volume) if volume.dtype.kind == "f" else None
        if finite is not None and not finite.all():
            self.not_finite += int((~finite).sum())
            values = np.where(finite, volume, 0)
        else:
            values = volume
        self.low, self.high = min(self.low, values.min()), max(self.high, values.max())
        empty = not volume.any()
        self._empty.append(empty)
        self._frozen.append(not empty and self._last is not None and np.array_equal(volume, self._last))
        self._last = volume

    @property
    def constant(self) -> bool:
        """Whether all voxels have one value."""
        return bool(self.low == self.high)

    @property
    def content(self) -> str | None:
        """SHA-256 of the voxels as float32, whatever the type and compression of the file; None if constant."""
        return None if self.constant else self._digest.hexdigest()

    def voxels(self) -> list[str]:
        """Warnings about the image as a whole: voxels that are not finite, or all the same."""
        warnings = []
        if self.not_finite:
            warnings.append(f"{self.not_finite} of {self.size} voxels are not finite, read as 0")
        if self.constant:
            warnings.append("all voxels are zero" if self.low == 0 else f"all voxels are {self.low:g}")
        return warnings

    def volumes(self) -> list[str]:
        """Warnings about empty volumes, and ones that repeat the one before; volumes are counted from 0."""
        if all(self._empty):
            return []
        warnings = []
        if any(self._empty):
            warnings.append(f"volume {_spans(self._empty)} all zero (dropped)")
        if any(self._frozen):
            warnings.append(f"volume {_spans(self._frozen)} the same as the one before (frozen)")
        return warnings

    def bold(self, header_step: float, repetition_time: float | None) -> list[str]:
        """Warnings about a BOLD series: its volumes, and its repetition time.

        Parameters
        ----------
        header_step : float
            ``pixdim[4]`` in seconds, 0 where the header does not say.
        repetition_time : float or None
            From the sidecar, in seconds; it counts where both are given.
        """
        warnings = self.volumes()
        if repetition_time is None and not header_step > 0:
            warnings.append("no repetition time, neither in the header nor in a sidecar")
        elif repetition_time is not None and header_step > 0 and abs(repetition_time - header_step) > 1e-3:
            warnings.append(
                f"repetition time is {header_step:g} s in the header and {repetition_time:g} s in the sidecar, "
                "which counts"
            )
        return warnings


def _spans(flags: list[bool]) -> str:
    """``[F, T, F, T, T]`` as ``1, 3-4``, at most five spans."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    texts = [str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in edges.reshape(-1, 2)]
    return ", ".join(texts[:5]) + (", ..." if len(texts) > 5 else "")
