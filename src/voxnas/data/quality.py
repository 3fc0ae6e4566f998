"""Checks of voxels that do not exclude a scan; each finding becomes a warning in the index."""

import hashlib

import numpy as np
from numpy.typing import NDArray


class VoxelChecks:
    """Checks the volumes of one image, one after another, and keeps only the last of them in memory."""

    def __init__(self) -> None:
        self.size = self.not_finite = 0
        self.low, self.high = np.inf, -np.inf
        self._empty: list[bool] = []
        self._frozen: list[bool] = []
        self._last: NDArray | None = None
        self._digest = hashlib.sha256()

    @property
    def count(self) -> int:
        """Number of volumes."""
        return len(self._empty)

    def add(self, volume: NDArray) -> None:
        """Check the next volume.

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
        values, finite = volume, np.isfinite(volume)
        if not finite.all():
            self.not_finite += int((~finite).sum())
            values = np.where(finite, volume, 0)
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
        """SHA-256 of the voxels as float32, independent of type and compression of the file; None if constant."""
        return None if self.constant else self._digest.hexdigest()

    def voxels(self) -> list[str]:
        """Return warnings about the whole image: voxels that are not finite, or all equal."""
        warnings = []
        if self.not_finite:
            warnings.append(f"{self.not_finite} of {self.size} voxels are not finite, read as 0")
        if self.constant:
            warnings.append("all voxels are zero" if self.low == 0 else f"all voxels are {self.low:g}")
        return warnings

    def volumes(self) -> list[str]:
        """Return warnings about empty volumes and repeated volumes; volumes are counted from 0."""
        if all(self._empty):
            return []
        warnings = []
        if any(self._empty):
            warnings.append(f"volume {_spans(self._empty)} all zero (dropped)")
        if any(self._frozen):
            warnings.append(f"volume {_spans(self._frozen)} the same as the one before (frozen)")
        return warnings

    def bold(self, header_step: float, repetition_time: float | None) -> list[str]:
        """Return warnings about the volumes and the repetition time of a BOLD series.

        Parameters
        ----------
        header_step : float
            ``pixdim[4]`` in seconds, 0 if the header has none.
        repetition_time : float or None
            Of the sidecar, in seconds; it has precedence.
        """
        warnings = self.volumes()
        if repetition_time is None and not header_step > 0:
            warnings.append("no repetition time, neither in the header nor in a sidecar")
        elif repetition_time is not None and header_step > 0 and abs(repetition_time - header_step) > 1e-3:
            warnings.append(
                f"repetition time is {header_step:g} s in the header and {repetition_time:g} s in the sidecar, "
                "which is used"
            )
        return warnings


def _spans(flags: list[bool]) -> str:
    """Write the positions of the flags as spans: ``[F, T, F, T, T]`` gives ``1, 3-4``; at most five spans."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], np.asarray(flags, int), [0]])))
    texts = [str(a) if b - a == 1 else f"{a}-{b - 1}" for a, b in edges.reshape(-1, 2)]
    return ", ".join(texts[:5]) + (", ..." if len(texts) > 5 else "")
