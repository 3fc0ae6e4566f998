"""Module of :mod:`voxnas.arch.primitives.time_difference`."""

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from voxnas.arch.graph import Node
from voxnas.nn.ops.base import CONV, MODULES, make_activation
from voxnas.nn.ops.clips import ClipNorm
from voxnas.nn.ops.tiles import Tiling, box_of

_CONVOLVE = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CHANNELS_LAST = {1: torch.contiguous_format, 2: torch.channels_last, 3: torch.channels_last_3d}
DENSE_ABOVE = 0.6  # share of tiles above which the whole frame is cheaper than gathered tiles
SLAB = 8  # rows of voxels whose channels fit into a cache


def differs(frame: torch.Tensor, held: torch.Tensor, threshold: float) -> torch.Tensor:
    """Voxels where any channel of `frame` (B, C, *S) differs from `held` (B, C, *S) by more than `threshold`."""
    scratch = torch.empty_like(frame[:, :, :SLAB])
    slabs = zip(frame.split(SLAB, dim=2), held.split(SLAB, dim=2), strict=True)
    largest = [torch.sub(new, old, out=scratch[:, :, : new.shape[2]]).abs_().amax(1) for new, old in slabs]
    distance = torch.cat(largest, dim=1)
    return distance.le(threshold).logical_not_()  # NaN counts as a change


def hold(clip: torch.Tensor, threshold: float) -> torch.Tensor:
    """Hold each voxel of a clip at its last value until it changes by more than a threshold.

    Parameters
    ----------
    clip : Tensor, (B, T, C, *S)
    threshold : float
        Largest change over the channels, in units of the input.

    Returns
    -------
    Tensor, (B, T, C, *S)
        Its gradient passes to the clip unchanged (straight-through estimator).
    """
    if threshold == 0:
        return clip
    with torch.no_grad():
        held = [clip[:, 0]]
        for frame in clip.unbind(1)[1:]:
            held.append(torch.where(differs(frame, held[-1], threshold).unsqueeze(1), frame, held[-1]))
        offset = torch.stack(held, 1) - clip
    return clip + offset


@MODULES.register("time_difference")
class TimeDifference(nn.Module):
    """A convolution with norm and activation that recomputes only the changes between frames."""

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        padding = tuple(k // 2 for k in node.kernel)
        self.conv = CONV[len(node.kernel)](channels[0], node.channels, node.kernel, node.stride, padding, bias=False)
        self.norm = ClipNorm(node.norm, node.channels)
        self.activation = make_activation(node.activation)
        self.threshold, self.tile = float(node.option("threshold")), int(node.option("tile"))

    def forward(self, clip: torch.Tensor) -> torch.Tensor:
        """Apply the convolution to a clip (B, T, C, *S).

        It computes whole frames for gradients, for fixed programs, and on a GPU, where the launch of a copy for each
        tile costs more than the tiles save; otherwise it computes tiles.
        """
        fixed = torch.compiler.is_compiling() or torch.jit.is_tracing()
        whole = fixed or torch.is_grad_enabled() or clip.device.type != "cpu"
        return self.activation(self.norm(self.convolve(clip) if whole else self.convolve_changes(clip)))

    def convolve(self, clip: torch.Tensor) -> torch.Tensor:
        """Convolve the whole held frames of a clip (B, T, C, *S); differentiable."""
        return self.conv(hold(clip, self.threshold).flatten(0, 1)).unflatten(0, clip.shape[:2])

    def convolve_changes(self, clip: torch.Tensor) -> torch.Tensor:
        """Convolve a clip (B, T, C, *S) by its changed tiles; equal to :meth:`convolve` up to rounding."""
        tiling = Tiling(tuple(clip.shape[3:]), self.conv.kernel_size, self.conv.stride, self.tile)
        frames, box = clip.unbind(1), [slice(0, n) for n in tiling.output]
        first = self.conv(frames[0])
        # Channels before frames, in the layout of the norm.
        whole = first.new_empty(*first.shape[:2], len(frames), *tiling.whole).transpose(1, 2)
        output = whole.unbind(1)
        box_of(output[0], box).copy_(first)
        held = frames[0].clone() if self.threshold else frames[0]
        for number, frame in enumerate(frames[1:], start=1):
            changed = differs(frame, held, self.threshold)
            touched = tiling.touched(changed)
            places = touched.nonzero().tolist()
            if not self.threshold:
                held = frame
            if len(places) > DENSE_ABOVE * touched.numel():
                self._update(held, frame, changed)
                box_of(output[number], box).copy_(self.conv(held))
                continue
            output[number].copy_(output[number - 1])
            if places:
                self._recompute(tiling, places, held, frame, changed, output[number])
        return box_of(whole, box)

    def _update(self, held: torch.Tensor, frame: torch.Tensor, changed: torch.Tensor) -> None:
        """Copy the changed (bool, (B, *S)) voxels of a frame into `held`, both (B, C, *S), in place."""
        if self.threshold:
            torch.where(changed.unsqueeze(1), frame, held, out=held)

    def _recompute(
        self,
        tiling: Tiling,
        places: Sequence[Sequence[int]],
        held: torch.Tensor,
        frame: torch.Tensor,
        changed: torch.Tensor,
        output: torch.Tensor,
    ) -> None:
        """Recompute the tiles at `places` (sample, *position in the grid) in place."""
        dims = len(tiling.tile)
        inside = tuple(slice(0, n) for n in tiling.window)
        shape, layout = (len(places), held.shape[1], *tiling.window), _CHANNELS_LAST[dims]
        windows = torch.empty(shape, dtype=held.dtype, device=held.device, memory_format=layout)
        for window, (sample, *place) in zip(windows, places, strict=True):
            source, target = tiling.seen(place)
            one = slice(sample, sample + 1)
            part = box_of(held[one], source)
            self._update(part, box_of(frame[one], source), box_of(changed[one], source))
            if target != inside:
                window.zero_()  # the window extends beyond the border
            box_of(window, target).copy_(part[0])
        tiles = _CONVOLVE[dims](windows, self.conv.weight, None, self.conv.stride)
        for tile, (sample, *place) in zip(tiles, places, strict=True):
            box_of(output[sample], tiling.tile_at(place)).copy_(tile)
