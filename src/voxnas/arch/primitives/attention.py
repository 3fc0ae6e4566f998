"""Self-attention as a block: in windows, along axes, or in neighbourhoods, on inputs of any size.

In windows: Liu et al. 2021, ICCV, section 3. Along axes: Ho et al. 2019, arXiv 1912.12180, and Wang et al. 2020, ECCV.
In neighbourhoods, in place of a convolution: Ramachandran et al. 2019, NeurIPS, section 3.
"""

from collections.abc import Iterator, Sequence
from math import prod

from voxnas.arch.layers import Layer, Size, divisor_up_to, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, is_same, primitive, shortcut

HEAD = 8  # channels of a head, if it divides the channels


def heads_of(channels: int) -> int:
    """Heads of an attention: one for every 8 channels, or fewer so that the heads divide the channels."""
    return divisor_up_to(channels, channels // HEAD)


def window_padding(size: Size, window: int, shifted: bool) -> list[tuple[int, int]]:
    """Voxels to pad before and behind each axis of `size` to fit windows of length `window`, `shifted` or not."""
    before = window // 2 if shifted else 0
    return [(before, -(n + before) % window) for n in size]


class _KeptAttention(Primitive):
    """Attention whose full matrix of weights is kept for backward."""

    def kept_heads(self, channels: int) -> int:
        """Heads of `channels`: all of them."""
        return heads_of(channels)


@primitive("window_attention")
class WindowAttention(_KeptAttention):
    """The block of the Swin transformer: attention within windows that do not overlap, then a perceptron.

    Windows beyond the border are padded, and the padding is masked. With `shifted` the windows lie half a window
    further along each axis; the paper shifts cyclically with masks, and alternates both kinds. Where shapes differ, a
    strided pointwise convolution comes first. The norm is the norm of the node (paper: layer norm), and the perceptron
    is twice as wide as the channels (paper: four times).
    """

    sized = False
    options = {"shifted": False, "widening": 2, "window": 4}  # noqa: RUF012 - read only

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Entrance, attention with its position bias, perceptron."""
        size, one, channels = self.shape(node, inputs).size, ones(len(node.stride)), node.channels
        window, hidden = int(node.option("window")), int(node.option("widening")) * channels
        around = window_padding(size, window, bool(node.option("shifted")))
        padded = tuple(n + sum(p) for n, p in zip(size, around, strict=True))
        if not is_same(node, inputs):
            yield from conv_norm(inputs[0].channels, channels, one, size)
        yield Layer("norm", channels, channels, one, size)
        yield Layer("conv", channels, 3 * channels, one, size)
        yield Layer("parameter", 0, heads_of(channels) * (2 * window - 1) ** len(size), one, one)
        yield Layer("attention", channels, channels, (window,) * len(size), padded)
        yield Layer("conv", channels, channels, one, size, bias=True)
        yield Layer("move", channels, channels, one, size)
        yield Layer("norm", channels, channels, one, size)
        yield Layer("conv", channels, hidden, one, size, bias=True)
        yield Layer("conv", hidden, channels, one, size, bias=True)
        yield Layer("move", channels, channels, one, size)


@primitive("axial_attention")
class AxialAttention(_KeptAttention):
    """Attention along one axis after the other, each with a skip, then the activation.

    Where shapes differ, a strided pointwise convolution comes first. Position encodings are left out, for they would
    fix the size of the input. The norm of the node follows each attention.
    """

    sized = False

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Entrance, and an attention for each axis."""
        size, one, channels = self.shape(node, inputs).size, ones(len(node.stride)), node.channels
        if not is_same(node, inputs):
            yield from conv_norm(inputs[0].channels, channels, one, size)
        for axis, length in enumerate(size):
            yield Layer("conv", channels, 3 * channels, one, size)
            yield Layer(
                "attention", channels, channels, tuple(length if a == axis else 1 for a in range(len(size))), size
            )
            yield from conv_norm(channels, channels, one, size)
            yield Layer("move", channels, channels, one, size)


def neighbourhood(node: Node) -> Size:
    """Neighbourhood of the attention of a voxel: the kernel, or 3 along each axis if the kernel is 1 everywhere."""
    return tuple(3 for _ in node.kernel) if prod(node.kernel) == 1 else node.kernel


@primitive("local_attention")
class LocalAttention(_KeptAttention):
    """Each voxel attends to the voxels under the kernel; the norm, a skip and the activation follow.

    With a stride, queries are computed at every second (..) voxel only. Keys and values are zero-padded, as in a
    convolution. Positions enter as a learnt bias for each head and neighbour (paper: learnt vectors multiplied with
    the query).
    """

    full_precision = True

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Queries, keys and values, the attention with its position bias, the norm and the skip."""
        given, channels, one = inputs[0].channels, node.channels, ones(len(node.stride))
        size, kernel = self.shape(node, inputs).size, neighbourhood(node)
        yield Layer("conv", given, channels, one, size)
        yield Layer("conv", given, 2 * channels, one, inputs[0].size)
        yield Layer("parameter", 0, heads_of(channels) * prod(kernel), one, one)
        yield Layer("attention", channels, channels, kernel, size)
        yield Layer("norm", channels, channels, one, size)
        yield from shortcut(node, inputs)
