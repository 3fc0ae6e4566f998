"""A layer and its size, from which parameters, multiply-adds and activations are counted, without torch."""

from collections.abc import Sequence
from math import prod
from typing import NamedTuple

Size = tuple[int, ...]
Size3 = tuple[int, int, int]

WEIGHTED = ("conv", "transposed", "linear")  # kinds whose weights are multiplied
COMPUTING = (*WEIGHTED, "attention", "recurrent")


class Layer(NamedTuple):
    """One layer of a network on an input of known size.

    Kinds: ``conv``; ``transposed`` (kernel = stride); ``linear``; ``norm``; ``pool``; ``move`` (an operation that
    moves, sums or scales values and has no parameters: shift, shuffle, add, concatenate, scale); ``parameter``
    (`out_channels` free parameters, such as a learnt position); ``attention`` (each output position of `out_channels`
    attends to `kernel` positions: two products without weights); ``recurrent`` (a GRU: three gates, each with a weight
    from the input and one from the state).

    `size` is the spatial size of the output, (D, H, W) in three dimensions; `frames` is the number of times that the
    layer is applied to one sample.
    """

    kind: str
    in_channels: int
    out_channels: int
    kernel: Size
    size: Size
    groups: int = 1
    bias: bool = False
    frames: int = 1

    @property
    def parameters(self) -> int:
        """Number of learnt values."""
        if self.kind == "norm":
            return 2 * self.out_channels
        if self.kind == "parameter":
            return self.out_channels
        if self.kind == "recurrent":
            return 3 * self.out_channels * (self.in_channels + self.out_channels + (2 if self.bias else 0))
        if self.kind not in WEIGHTED:
            return 0
        weights = self.in_channels // self.groups * self.out_channels * prod(self.kernel)
        return weights + (self.out_channels if self.bias else 0)

    @property
    def macs(self) -> int:
        """Multiply-adds for one sample; norms, activations, biases, pooling and moves are not counted."""
        places = self.frames * prod(self.size)
        if self.kind == "attention":
            return 2 * self.out_channels * places * prod(self.kernel)
        if self.kind == "recurrent":
            return 3 * self.out_channels * (self.in_channels + self.out_channels) * places
        if self.kind not in WEIGHTED:
            return 0
        # In a transposed convolution with kernel = stride each output voxel depends on one input voxel.
        taps = 1 if self.kind == "transposed" else prod(self.kernel)
        return self.in_channels // self.groups * self.out_channels * places * taps

    @property
    def elements(self) -> int:
        """Output elements for one sample, of any kind of layer."""
        return 0 if self.kind == "parameter" else self.out_channels * prod(self.size) * self.frames

    @property
    def activations(self) -> int:
        """Output elements for one sample of a layer with multiply-adds (Radosavovic et al. 2020)."""
        return self.elements if self.kind in COMPUTING else 0

    @property
    def depthwise(self) -> bool:
        """Whether the layer is a depthwise convolution."""
        return self.kind == "conv" and self.groups > 1 and self.groups == self.in_channels


def divisor_up_to(channels: int, most: int) -> int:
    """The largest divisor of `channels` that is at most `most`: groups that always fit."""
    return max(g for g in range(1, max(1, most) + 1) if channels % g == 0)


def strided(size: Size, stride: Size) -> Size:
    """Size after a layer with size-preserving padding and the given stride."""
    return tuple(-(-n // s) for n, s in zip(size, stride, strict=True))


def total(strides: Sequence[Size]) -> Size:
    """Product of several strides along each axis."""
    return tuple(prod(axis) for axis in zip(*strides, strict=True))


def ones(dims: int) -> Size:
    """A stride or kernel of 1 along each of `dims` axes."""
    return (1,) * dims
