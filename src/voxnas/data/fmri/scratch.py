"""Transposition of a run on disk: written by volumes and read by blocks of voxels, or the reverse.

Cleaning needs all times of a voxel, networks need all voxels of a time. On disk the run is stored in blocks of voxels,
each a contiguous (T, v) array, so that both are read in pieces whose size does not grow with the run. The file is not
memory-mapped, because mapped pages count as memory.
"""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

BLOCK_VALUES = 1 << 19  # values of a block: 4 MiB in double precision, of which cleaning needs a few copies
Rows = NDArray[np.float32]


class Scratch:
    """A (T, V) array on disk; a context manager that removes its file.

    Parameters
    ----------
    folder : path
        Folder of the file.
    frames : int
        T.
    voxels : int
        V.
    values : int
        Largest number of values in a block.
    """

    def __init__(self, folder: Path, frames: int, voxels: int, values: int = BLOCK_VALUES) -> None:
        self.frames, self.voxels = frames, voxels
        self._width = max(1, min(voxels, values // frames))
        self._starts = range(0, voxels, self._width)
        folder.mkdir(parents=True, exist_ok=True)
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 (closed by __exit__)
        self._rows = 0

    def __enter__(self) -> "Scratch":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def append(self, row: Rows) -> None:
        """Write the next volume, (V,)."""
        if self._rows == self.frames or row.shape != (self.voxels,):
            raise ValueError(f"row {self._rows} of shape {row.shape} does not fit ({self.frames}, {self.voxels})")
        row = np.ascontiguousarray(row, dtype=np.float32)
        for start in self._starts:
            self._write(row[start : start + self._width], self._offset(start, self._rows))
        self._rows += 1

    def blocks(self) -> Iterator[tuple[slice, Rows]]:
        """Yield the voxels of each block with all their times, (T, v)."""
        for start in self._starts:
            voxels = slice(start, min(start + self._width, self.voxels))
            yield voxels, self._read((self._rows, voxels.stop - start), self._offset(start, 0))

    def replace(self, voxels: slice, block: Rows) -> None:
        """Overwrite a block of :meth:`blocks`, with at most as many times."""
        self._write(np.ascontiguousarray(block, dtype=np.float32), self._offset(voxels.start, 0))

    def rows(self, start: int, stop: int) -> Rows:
        """Read the times `start` to `stop` of all voxels, (t, V)."""
        result = np.empty((stop - start, self.voxels), np.float32)
        for first in self._starts:
            width = min(self._width, self.voxels - first)
            result[:, first : first + width] = self._read((stop - start, width), self._offset(first, start))
        return result

    def _offset(self, start: int, row: int) -> int:
        """Return the position in the file, in bytes, of a row of the block that begins with voxel `start`."""
        width = min(self._width, self.voxels - start)
        return 4 * (start * self.frames + row * width)

    def _write(self, values: Rows, offset: int) -> None:
        view = values.reshape(-1).view(np.uint8).data
        while len(view):
            count = os.pwrite(self._file.fileno(), view, offset)
            view, offset = view[count:], offset + count

    def _read(self, shape: tuple[int, int], offset: int) -> Rows:
        values = np.empty(shape, np.float32)
        view = values.reshape(-1).view(np.uint8).data
        while len(view):
            count = os.preadv(self._file.fileno(), [view], offset)
            if count == 0:
                raise ValueError(f"nothing was written at byte {offset}")
            view, offset = view[count:], offset + count
        return values
