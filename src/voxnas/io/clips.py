"""Runs on disk: volumes in one file that is read partially.

A run is an uncompressed Zarr 3 array, (T, C, D, H, W), in a zip file without compression, which any Zarr reader opens.
:class:`Run` looks up the offsets of the chunks and reads the requested volumes directly into the result, since the path
of the Zarr library (event loop, zip checksums, one copy per chunk) costs ten times as much as the reading
(``benchmarks/clips.py``). No file stays open between reads, so that a run can be forked, pickled and shared, and no
mapped pages count as memory of the process.

Regional time series of an atlas, (T, R), are stored in the same way, with the file of the atlas in the attribute
``atlas``. Their volumes are painted when they are read: each voxel receives the value of its region.
"""

from __future__ import annotations

import json
import math
import os
import struct
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voxnas.core.errors import UserError
from voxnas.io.replace import replacing

Array = NDArray[np.float32]
METADATA = "zarr.json"
ATLAS = "atlas"  # attribute of painted runs: file of the atlas, in the same folder
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal runs give equal bytes
_LOCAL_HEADER = 30  # bytes of a zip member before its name (APPNOTE 4.3.7)


def write_run(
    path: str | Path,
    blocks: Iterable[NDArray],
    shape: Sequence[int],
    chunk_frames: int,
    attributes: dict[str, Any] | None = None,
) -> None:
    """Write a run, block by block.

    Parameters
    ----------
    path : path
        Zip file to write; readers see the old file or the complete new file.
    blocks : iterable of ndarray, (t, ...)
        Consecutive blocks of any number of volumes. At most one block and one chunk are in memory.
    shape : sequence of int
        (T, C, D, H, W), or (T, R).
    chunk_frames : int
        Volumes per chunk.
    attributes : dict, optional
        Further metadata, as plain JSON data.

    Raises
    ------
    ValueError
        If the blocks do not fill the shape.
    """
    shape = tuple(int(n) for n in shape)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(METADATA, _EPOCH), _metadata(shape, chunk_frames, attributes or {}))
        for number, chunk in enumerate(_chunks(blocks, shape, chunk_frames)):
            archive.writestr(zipfile.ZipInfo(_member(number, len(shape)), _EPOCH), chunk.tobytes())


def chunk_frames(volume_voxels: int, frames: int) -> int:
    """Volumes per chunk: as many as fit in 64 KiB, at least one."""
    return max(1, min(frames, (1 << 14) // max(1, volume_voxels)))


def _member(number: int, axes: int) -> str:
    """Name of a chunk (Zarr 3, section chunk key encoding, ``default``)."""
    return "/".join(["c", str(number), *["0"] * (axes - 1)])


def _metadata(shape: tuple[int, ...], length: int, attributes: dict[str, Any]) -> bytes:
    # Imported here, since reading does not need it.
    import zarr

    with tempfile.TemporaryDirectory() as folder:
        zarr.create_array(
            folder,
            shape=shape,
            chunks=(length, *shape[1:]),
            dtype="<f4",
            compressors=None,
            fill_value=0,
            attributes=attributes,
        )
        return (Path(folder) / METADATA).read_bytes()


def _chunks(blocks: Iterable[NDArray], shape: tuple[int, ...], length: int) -> Iterator[Array]:
    """Regroup blocks into chunks of `length` volumes; the last chunk is padded with zeros."""
    chunk = np.zeros((length, *shape[1:]), dtype="<f4")
    filled = total = 0
    for block in blocks:
        if block.shape[1:] != shape[1:]:
            raise ValueError(f"a block of shape {block.shape} does not fit a run of shape {shape}")
        total += len(block)
        while len(block):
            taken = min(length - filled, len(block))
            chunk[filled : filled + taken] = block[:taken]
            filled, block = filled + taken, block[taken:]
            if filled == length:
                yield chunk
                filled = 0
    if total != shape[0]:
        raise ValueError(f"{total} volumes for a run of shape {shape}")
    if filled:
        chunk[filled:] = 0
        yield chunk


class Run:
    """A run written by :func:`write_run`, read partially.

    Parameters
    ----------
    path : path
        The file, opened and closed by each read.

    Attributes
    ----------
    path : Path
        The file.
    shape : tuple of int
        (T, C, D, H, W).
    attributes : dict
        Metadata of the run.

    Raises
    ------
    UserError
        If the file is missing or is not a run.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            with zipfile.ZipFile(self.path) as archive:
                metadata = json.loads(archive.read(METADATA))
                members = {info.filename: info for info in archive.infolist()}
            self.attributes: dict[str, Any] = metadata["attributes"]
            self._stored = tuple(int(n) for n in metadata["shape"])
            self._length = int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])
            names = [_member(n, len(self._stored)) for n in range(math.ceil(self._stored[0] / self._length))]
            self._offsets = self._positions([members[name] for name in names])
        except FileNotFoundError:
            raise UserError(f"{self.path} does not exist", "run the stage preprocess") from None
        except (zipfile.BadZipFile, KeyError, ValueError, OSError, struct.error) as error:
            raise UserError(f"{self.path} is not a run: {error}", "delete it and run the stage preprocess") from None
        atlas = self.attributes.get(ATLAS)
        self._atlas = self.path.with_name(atlas) if atlas else None
        space = read_atlas(self._atlas).shape if self._atlas else ()
        self.shape: tuple[int, ...] = (self._stored[0], 1, *space) if self._atlas else self._stored

    def _positions(self, members: list[zipfile.ZipInfo]) -> list[int]:
        """Offsets of the chunks in the file."""
        size = 4 * self._length * math.prod(self._stored[1:])
        positions = []
        with self.path.open("rb") as file:
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.file_size != size:
                    raise ValueError(f"chunk {member.filename} does not consist of {size} uncompressed bytes")
                header = os.pread(file.fileno(), _LOCAL_HEADER, member.header_offset)
                name, extra = struct.unpack("<HH", header[26:30])
                positions.append(member.header_offset + _LOCAL_HEADER + name + extra)
        return positions

    def frames(self, start: int, stop: int, step: int = 1) -> Array:
        """Read the volumes ``range(start, stop, step)``.

        Parameters
        ----------
        start, stop, step : int
            Arguments of :func:`range`, within the run and with a positive step.

        Returns
        -------
        ndarray, (T, C, D, H, W), float32
            A new array.

        Raises
        ------
        IndexError
            If a volume lies outside the run.
        UserError
            If the file is truncated.
        """
        stored = self.series(start, stop, step)
        if self._atlas is None:
            return stored
        table = np.concatenate([np.zeros((len(stored), 1), np.float32), stored], axis=1)
        return np.take(table, read_atlas(self._atlas), axis=1)[:, None]

    def series(self, start: int, stop: int, step: int = 1) -> Array:
        """Read stored values: (T, R) for a painted run, else the volumes of :meth:`frames`."""
        wanted = range(start, stop, max(1, step))
        if step < 1 or not 0 <= start <= stop or (wanted and wanted[-1] >= self._stored[0]):
            raise IndexError(f"{self.path}: volumes {start}:{stop}:{step} of {self._stored[0]}")
        result = np.empty((len(wanted), *self._stored[1:]), dtype="<f4")
        size = 4 * math.prod(self._stored[1:])
        handle = os.open(self.path, os.O_RDONLY)
        try:
            position = 0
            while position < len(wanted):
                chunk, inside = divmod(wanted[position], self._length)
                count = min(self._length - inside, len(wanted) - position) if step == 1 else 1
                self._read(handle, result[position : position + count], self._offsets[chunk] + inside * size)
                position += count
        finally:
            os.close(handle)
        return result

    def _read(self, handle: int, target: Array, offset: int) -> None:
        """Fill the target from the file; a single call of preadv may return fewer bytes."""
        view = target.reshape(-1).view(np.uint8).data
        while len(view):
            count = os.preadv(handle, [view], offset)
            if count == 0:
                raise UserError(f"{self.path} is truncated", "delete it and run the stage preprocess")
            view, offset = view[count:], offset + count


@lru_cache(maxsize=4)
def read_atlas(path: Path) -> NDArray[np.intp]:
    """Read the region number of each voxel, (D, H, W): 0 outside the regions, else 1 + column of the series."""
    run = Run(path)
    return np.rint(run.frames(0, run.shape[0])).astype(np.intp)
