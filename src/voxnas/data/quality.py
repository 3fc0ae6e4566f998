"""Checks of voxels that do not exclude a scan; each finding becomes a warning in the index."""

import hashlib
import zlib

import numpy as np
from numpy.typing import NDArray


class VoxelChecks:
    """Checks the voxels of one image, one piece after another, and keeps none of them in memory.

    Parameters
    ----------
    shape : tuple of int
        (X, Y, Z) of a volume.
    """

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.size = self.not_finite = 0
        self.low, self.high = np.inf, -np.inf
        self._empty: list[bool] = []
        self._sums: list[int] = []  # CRC-32 of the volumes
        self._digest = hashlib.sha256(repr(tuple(map(int, shape))).encode())

    @property
    def count(self) -> int:
        """Number of volumes."""
        return len(self._empty)

    def add(self, number: int, piece: NDArray) -> None:
        """Check the next piece.

        Parameters
        ----------
        number : int
            Of the volume.
        piece : ndarray, (N,)
            Voxels as scaled by the header, in the order of the file.
        """
        if number == self.count:
            self._empty.append(True)
            self._sums.append(0)
        with np.errstate(over="ignore", invalid="ignore"):
            piece = piece.astype(np.float32)  # as the preprocessing reads it
        stored = piece.tobytes()
        self._digest.update(stored)
        self._sums[number] = zlib.crc32(stored, self._sums[number])
        self._empty[number] &= not piece.any()
        self.size += piece.size
        finite = np.isfinite(piece)
        if not finite.all():
            self.not_finite += int((~finite).sum())
            piece = np.where(finite, piece, 0)
        self.low, self.high = min(self.low, piece.min()), max(self.high, piece.max())

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
        frozen = [k > 0 and not self._empty[k] and sum_ == self._sums[k - 1] for k, sum_ in enumerate(self._sums)]
        if any(frozen):
            warnings.append(f"volume {_spans(frozen)} the same as the one before (frozen)")
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
