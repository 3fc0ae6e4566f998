"""Tiles of a convolution's output, and their windows of the input."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import functional as F

from voxnas.arch.layers import Size, strided

_LARGEST = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def box_of(x: torch.Tensor, box: Sequence[slice]) -> torch.Tensor:
    """View the part of x (..., *S) within a `box` of slices along the last axes."""
    index: tuple[Any, ...] = (..., *box)
    return x[index]


class Tiling:
    """Division of a convolution's output into tiles.

    Parameters
    ----------
    size : tuple of int
        Spatial size of the input.
    kernel, stride : tuple of int
        Of a convolution with padding kernel // 2.
    tile : int
        Voxels of the output along each axis of a tile.

    Attributes
    ----------
    output : tuple of int
        Size of the output.
    grid : tuple of int
        Tiles along each axis.
    whole : tuple of int
        Size of all tiles together, at least that of the output.
    window : tuple of int
        Voxels of the padded input on which a tile depends.
    """

    def __init__(self, size: Size, kernel: Size, stride: Size, tile: int) -> None:
        self.output = strided(size, stride)
        self.tile = tuple(min(tile, n) for n in self.output)
        self.grid = strided(self.output, self.tile)
        self.whole = tuple(g * t for g, t in zip(self.grid, self.tile, strict=True))
        self.step = tuple(t * s for t, s in zip(self.tile, stride, strict=True))
        self.window = tuple((t - 1) * s + k for t, s, k in zip(self.tile, stride, kernel, strict=True))
        self._size, self._before = size, tuple(k // 2 for k in kernel)

    def touched(self, changed: torch.Tensor) -> torch.Tensor:
        """Whether each tile depends on a changed voxel: `changed`, bool (B, *S), to bool (B, *grid)."""
        padding: list[int] = []
        for n, b, g, p, w in reversed([*zip(self._size, self._before, self.grid, self.step, self.window, strict=True)]):
            padding += [b, max(0, (g - 1) * p + w - b - n)]
        padded = F.pad(changed.unsqueeze(1).float(), padding)
        return _LARGEST[len(self.tile)](padded, self.window, self.step).squeeze(1) > 0

    def seen(self, place: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
        """Slices of the input within the window of the tile at a `place` of the grid, and their position in it."""
        source, target = [], []
        for p, step, window, before, n in zip(place, self.step, self.window, self._before, self._size, strict=True):
            start = p * step - before
            first, last = max(0, start), min(n, start + window)
            source.append(slice(first, last))
            target.append(slice(first - start, last - start))
        return tuple(source), tuple(target)

    def tile_at(self, place: Sequence[int]) -> tuple[slice, ...]:
        """Slices of the output that the tile at a `place` of the grid covers."""
        return tuple(slice(p * t, (p + 1) * t) for p, t in zip(place, self.tile, strict=True))
