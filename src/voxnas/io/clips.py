"""Runs on disk: volumes in one file that is read in parts.

A run is a Zarr 3 array, (T, C, D, H, W), without compression in one zip file whose members are stored as they are. Any
reader of Zarr opens it. :class:`Run` does not go through one: it looks up where the chunks lie and reads the
wanted volumes straight into the result, because Zarr's own path (event loop, zip checksums, one copy a chunk) costs ten
times as much as the reading (``benchmarks/clips.py``). Nothing stays open between two reads, so a run is a few
numbers that fork, pickle and share freely, and pages of a mapped file never count as memory of the process.

Series of an atlas's regions, (T, R), are stored in the same way, with the name of the atlas beside them in the
attribute ``atlas``; their volumes are painted when they are read.
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

Array = NDArray[np.float32]
METADATA = "zarr.json"
ATLAS = "atlas"  # attribute of painted runs: file of the atlas, in the same folder
_EPOCH = (1980, 1, 1, 0, 0, 0)  # equal runs are equal bytes
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
        A zip file; a reader sees the old one or the whole new one.
    blocks : iterable of ndarray, (t, ...)
        Consecutive volumes, of any number each. No more than one block and one chunk are held.
    shape : sequence of int
        (T, C, D, H, W), or (T, R).
    chunk_frames : int
        Volumes of a chunk.
    attributes : dict, optional
        Plain JSON data that goes along.

    Raises
    ------
    ValueError
        If the blocks do not fill the shape.
    """
    path, shape = Path(path), tuple(int(n) for n in shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(METADATA, _EPOCH), _metadata(shape, chunk_frames, attributes or {}))
            for number, chunk in enumerate(_chunks(blocks, shape, chunk_frames)):
                archive.writestr(zipfile.ZipInfo(_member(number, len(shape)), _EPOCH), chunk.tobytes())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def chunk_frames(volume_voxels: int, frames: int) -> int:
    """Volumes of a chunk: one where it is large, so many that a chunk has 64 KiB where it is small."""
    return max(1, min(frames, (1 << 14) // max(1, volume_voxels)))


def _member(number: int, axes: int) -> str:
    """Name of a chunk (Zarr 3, section chunk key encoding, ``default``)."""
    return "/".join(["c", str(number), *["0"] * (axes - 1)])


def _metadata(shape: tuple[int, ...], length: int, attributes: dict[str, Any]) -> bytes:
    # Imported here: reading needs none of it.
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
    """The volumes in chunks of `length`, the last one filled up with zeros."""
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
    """A run of :func:`write_run`, read in parts.

    Parameters
    ----------
    path : path
        The file. It is opened for each read and closed after it.

    Attributes
    ----------
    path : Path
        The file.
    shape : tuple of int
        (T, C, D, H, W).
    attributes : dict
        As written.

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
        """Where the bytes of the chunks begin."""
        size = 4 * self._length * math.prod(self._stored[1:])
        positions = []
        with self.path.open("rb") as file:
            for member in members:
                if member.compress_type != zipfile.ZIP_STORED or member.file_size != size:
                    raise ValueError(f"chunk {member.filename} is not {size} plain bytes")
                header = os.pread(file.fileno(), _LOCAL_HEADER, member.header_offset)
                name, extra = struct.unpack("<HH", header[26:30])
                positions.append(member.header_offset + _LOCAL_HEADER + name + extra)
        return positions

    def frames(self, start: int, stop: int, step: int = 1) -> Array:
        """Volumes ``start``, ``start + step``, .. before ``stop``.

        Parameters
        ----------
        start, stop, step : int
            As of :func:`range`, within the run, forwards.

        Returns
        -------
        ndarray, (T, C, D, H, W), float32
            Of its own memory.

        Raises
        ------
        IndexError
            If a volume lies outside the run.
        UserError
            If the file was cut short.
        """
        stored = self.series(start, stop, step)
        if self._atlas is None:
            return stored
        table = np.concatenate([np.zeros((len(stored), 1), np.float32), stored], axis=1)
        return np.take(table, read_atlas(self._atlas), axis=1)[:, None]

    def series(self, start: int, stop: int, step: int = 1) -> Array:
        """As stored: (T, R) of a painted run, else the same as :meth:`frames`."""
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
        """Fill the target from the file; one call may give less than all."""
        view = target.reshape(-1).view(np.uint8).data
        while len(view):
            count = os.preadv(handle, [view], offset)
            if count == 0:
                raise UserError(f"{self.path} is cut short", "delete it and run the stage preprocess")
            view, offset = view[count:], offset + count


@lru_cache(maxsize=4)
def read_atlas(path: Path) -> NDArray[np.intp]:
    """Number of the region in each voxel, (D, H, W): 0 outside, else 1 + its column in the series."""
    run = Run(path)
    return np.rint(run.frames(0, run.shape[0])).astype(np.intp)
