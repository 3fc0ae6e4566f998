"""An architecture as the list of its layers with their sizes, without torch.

Parameters, multiply-adds and activations of a network are sums over this list; `voxnas.nn` builds
the same layers, and a test holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from typing import NamedTuple

from voxnas.core.architecture import CNN, Linear, UNet

Triple = tuple[int, int, int]
ONE: Triple = (1, 1, 1)
STEM_BLOCK = {"plain": "plain", "residual": "residual", "inverted": "plain"}


class Layer(NamedTuple):
    """One layer of a network.

    `size` is the output's (D, H, W). Kinds: ``conv``, ``transposed``, ``norm``, ``pool``, ``linear``.
    """

    kind: str
    in_channels: int
    out_channels: int
    kernel: Triple
    size: Triple
    groups: int = 1
    bias: bool = False

    @property
    def parameters(self) -> int:
        """Number of learnt values."""
        if self.kind == "norm":
            return 2 * self.out_channels
        if self.kind == "pool":
            return 0
        weights = self.in_channels // self.groups * self.out_channels * prod(self.kernel)
        return weights + (self.out_channels if self.bias else 0)

    @property
    def macs(self) -> int:
        """Multiply-adds for one sample; norms, activations, biases and pooling are not counted."""
        if self.kind in ("norm", "pool"):
            return 0
        weights = self.in_channels // self.groups * self.out_channels
        # A transposed convolution with kernel = stride reaches every output voxel once.
        return weights * prod(self.size) * (1 if self.kind == "transposed" else prod(self.kernel))

    @property
    def activations(self) -> int:
        """Output elements for one sample of a layer with weights of its own (Radosavovic et al. 2020)."""
        return 0 if self.kind in ("norm", "pool") else self.out_channels * prod(self.size)

    @property
    def depthwise(self) -> bool:
        """Whether each channel is convolved alone."""
        return self.kind == "conv" and self.groups > 1


def norm_groups(channels: int) -> int:
    """Groups of a group norm: the largest divisor of `channels` that is at most 8."""
    return max(g for g in range(1, 9) if channels % g == 0)


def hidden_channels(in_channels: int, out_channels: int, expansion: int) -> int:
    """Channels inside an inverted block."""
    return expansion * min(in_channels, out_channels)


def supervised_outputs(architecture: UNet) -> int:
    """Decoder outputs that have a head: the first alone, or all but the lowest (as in nnU-Net)."""
    return len(architecture.decoder_blocks) - 1 if architecture.deep_supervision else 1


def list_layers(architecture: UNet | CNN | Linear, size: Sequence[int]) -> Iterator[Layer]:
    """All layers of an architecture on an input of the given size (D, H, W), in the order of computation.

    The heads of deep supervision, which an evaluated network does not run, come last with size 0.
    The linear baseline has one weight for each channel and voxel of the given size and output.
    """
    size = (size[0], size[1], size[2])
    if isinstance(architecture, Linear):
        inputs = architecture.in_channels * prod(size)
        yield Layer("linear", inputs, architecture.out_channels, ONE, ONE, bias=True)
        return
    sizes: list[Triple] = []
    channels = architecture.in_channels
    for i, width in enumerate(architecture.widths):
        stride, kernel = architecture.strides[i], architecture.kernels[i]
        kinds: list[str] = [architecture.block] * architecture.blocks[i]
        if i == 0:
            kinds[0] = STEM_BLOCK[architecture.block]
        if architecture.downsample != "stride" and stride != ONE:
            size = (size[0] // stride[0], size[1] // stride[1], size[2] // stride[2])
            yield Layer("pool", channels, channels, stride, size)
            stride = ONE
        yield from _chain(architecture, kinds, channels, width, kernel, stride, size)
        size = _strided(size, stride)
        sizes.append(size)
        channels = width
    yield from _decoder(architecture, sizes) if isinstance(architecture, UNet) else _head(architecture, size)


def _decoder(architecture: UNet, sizes: list[Triple]) -> Iterator[Layer]:
    widths = architecture.widths
    for i in reversed(range(len(architecture.decoder_blocks))):
        yield Layer("transposed", widths[i + 1], widths[i], architecture.strides[i + 1], sizes[i], bias=True)
        kinds = [architecture.block] * architecture.decoder_blocks[i]
        yield from _chain(architecture, kinds, 2 * widths[i], widths[i], architecture.kernels[i], ONE, sizes[i])
    for i in range(supervised_outputs(architecture)):
        yield Layer("conv", widths[i], architecture.out_channels, ONE, sizes[0] if i == 0 else (0, 0, 0), bias=True)


def _head(architecture: CNN, size: Triple) -> Iterator[Layer]:
    width = architecture.widths[-1]
    if architecture.head_width:
        yield from _conv_norm(width, architecture.head_width, ONE, size)
        width = architecture.head_width
    yield Layer("linear", width, architecture.out_channels, ONE, ONE, bias=True)


def _strided(size: Triple, stride: Triple) -> Triple:
    """Size after a convolution with size-preserving padding and the given stride."""
    return (-(-size[0] // stride[0]), -(-size[1] // stride[1]), -(-size[2] // stride[2]))


def _conv_norm(inputs: int, outputs: int, kernel: Triple, size: Triple, groups: int = 1) -> Iterator[Layer]:
    yield Layer("conv", inputs, outputs, kernel, size, groups)
    yield Layer("norm", outputs, outputs, ONE, size)


def _chain(
    architecture: UNet | CNN,
    kinds: Sequence[str],
    inputs: int,
    outputs: int,
    kernel: Triple,
    stride: Triple,
    size: Triple,
) -> Iterator[Layer]:
    for kind in kinds:
        after = _strided(size, stride)
        if kind == "plain":
            yield from _conv_norm(inputs, outputs, kernel, after)
        elif kind == "residual":
            yield from _conv_norm(inputs, outputs, kernel, after)
            yield from _conv_norm(outputs, outputs, kernel, after)
            if inputs != outputs or stride != ONE:
                yield from _conv_norm(inputs, outputs, ONE, after)
        else:
            hidden = hidden_channels(inputs, outputs, architecture.expansion)
            yield from _conv_norm(inputs, hidden, ONE, size)
            yield from _conv_norm(hidden, hidden, kernel, after, hidden)
            yield from _conv_norm(hidden, outputs, ONE, after)
        inputs, stride, size = outputs, ONE, after
