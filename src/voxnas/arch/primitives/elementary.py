"""The elementary layers of hand-made networks, each with the options that the published networks need."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Follows, Node, Primitive, Relation, Shape, primitive


def activation_layers(node: Node, channels: int, size: Size) -> Iterator[Layer]:
    """Yield the slopes of a PReLU (He et al. 2015, ICCV), one per channel; other activations have no parameters.

    Parameters
    ----------
    node : Node
    channels : int
    size : tuple of int
        Size of the activated map, (D, H, W) in three dimensions.
    """
    if node.activation == "prelu":
        yield Layer("parameter", channels, channels, ones(len(size)), size)


def check_window(node: Node) -> None:
    """Refuse a kernel of `node` that is neither odd nor its stride: no padding makes its output ceil(size / stride)."""
    if any(k % 2 == 0 and k != s for k, s in zip(node.kernel, node.stride, strict=True)):
        raise ValueError(f"{node.op} has the kernel {node.kernel}, neither odd nor its stride {node.stride}")


@primitive("conv")
class Conv(Primitive):
    """One convolution; bias, groups, norm and activation are options.

    A norm without `scale` learns a shift only. A bias before a norm has no effect, but some published networks have and
    count it. An even kernel is allowed if it equals the stride; the border is then padded at the far end.
    """

    block = False
    options = {"groups": 1, "bias": False, "norm": True, "scale": True, "activate": True}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse groups that do not divide the channels in and out."""
        groups = int(node.option("groups"))
        if given[0] % groups or node.channels % groups:
            raise ValueError(f"conv from {given[0]} to {node.channels} channels cannot have {groups} groups")
        check_window(node)

    def relation(self, node: Node, given: Sequence[int]) -> Relation:
        """The channels of the input of a depthwise convolution; independent ones of a convolution without groups."""
        groups = int(node.option("groups"))
        if groups == 1:
            return "new"
        return "first" if groups == given[0] == node.channels else "fixed"

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """The convolution, its norm, the activation's slopes."""
        size, one = self.shape(node, inputs).size, ones(len(node.stride))
        groups, bias = int(node.option("groups")), bool(node.option("bias"))
        yield Layer("conv", inputs[0].channels, node.channels, node.kernel, size, groups, bias)
        if node.option("norm"):
            if node.option("scale"):
                yield Layer("norm", node.channels, node.channels, one, size)
            else:
                yield Layer("move", node.channels, node.channels, one, size)
                yield Layer("parameter", node.channels, node.channels, one, size)
        if node.option("activate"):
            yield from activation_layers(node, node.channels, size)


@primitive("normalize")
class Normalize(Follows):
    """The norm and the activation before a pre-activated convolution (He et al. 2016, ECCV, section 4.1)."""

    block = False

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """The norm, the activation's slopes."""
        size = inputs[0].size
        yield Layer("norm", node.channels, node.channels, ones(len(size)), size)
        yield from activation_layers(node, node.channels, size)


@primitive("activate")
class Activate(Follows):
    """An activation alone, for example after a sum."""

    block = False
    keeps_output = True

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move, and the activation's slopes."""
        size = inputs[0].size
        yield Layer("move", node.channels, node.channels, ones(len(size)), size)
        yield from activation_layers(node, node.channels, size)


class _Window(Follows):
    """Pooling with windows that may overlap; padding at the border makes the size of the output ceil(size / stride)."""

    block = False
    window = True

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse windows that are neither odd nor as large as the stride."""
        super().check(node, given, dims)
        check_window(node)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pooling layer."""
        yield Layer("pool", node.channels, node.channels, node.kernel, self.shape(node, inputs).size)


@primitive("window_max")
class WindowMax(_Window):
    """Largest value of each window, as in the stem of a ResNet (kernel 3, stride 2)."""

    keeps_positions = True


@primitive("window_average")
class WindowAverage(_Window):
    """Mean of each window; the padding is not counted."""


@primitive("upsample")
class Upsample(Follows):
    """Interpolation by the stride, linear or nearest, in place of a transposed convolution."""

    block = False
    options = {"mode": "linear"}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse an unknown mode."""
        super().check(node, given, dims)
        if node.option("mode") not in ("linear", "nearest"):
            raise ValueError(f"upsample has the mode {node.option('mode')!r}, which is neither linear nor nearest")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The size of the input, multiplied by the stride."""
        size = tuple(n * s for n, s in zip(inputs[0].size, node.stride, strict=True))
        return Shape(node.channels, size, inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move."""
        yield Layer("move", node.channels, node.channels, node.stride, self.shape(node, inputs).size)


@primitive("crop")
class Crop(Follows):
    """Cut the first input at the far end to the size of the second: in a decoder, to the odd size of a skip.

    Down-sampling rounds sizes up, so the up-sampled map is never smaller than the skip.
    """

    arity = 2
    block = False

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """Size of the second input."""
        if any(n < m for n, m in zip(inputs[0].size, inputs[1].size, strict=True)):
            raise ValueError(f"crop of {inputs[0].size} to {inputs[1].size}")
        return Shape(node.channels, inputs[1].size, inputs[0].frames)


@primitive("channel_slice")
class ChannelSlice(Primitive):
    """Some channels of the input, from `start` on."""

    block = False
    options = {"start": 0}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse a slice beyond the channels of the input."""
        if int(node.option("start")) + node.channels > given[0]:
            raise ValueError(f"{node.channels} channels from {node.option('start')} on are more than {given[0]}")


@primitive("channel_shuffle")
class ChannelShuffle(Primitive):
    """Interleave the channels of groups (Zhang et al. 2018, CVPR, section 3.1)."""

    block = False
    options = {"groups": 2}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse groups that do not divide the channels."""
        super().check(node, given, dims)
        if given[0] % int(node.option("groups")):
            raise ValueError(f"{given[0]} channels cannot be shuffled among {node.option('groups')} groups")

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A move."""
        size = inputs[0].size
        yield Layer("move", node.channels, node.channels, ones(len(size)), size)


@primitive("dense")
class Dense(Primitive):
    """A hidden linear layer on all values of a fixed grid, as in VGG (Simonyan & Zisserman 2015, ICLR).

    The input of any size is averaged to `grid` places along each axis; dropout precedes the layer.
    """

    block = False
    options = {"grid": 1, "dropout": 0.0}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Allow any channels."""

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """One place."""
        return Shape(node.channels, ones(len(inputs[0].size)), inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """The pooling to the grid, and the linear layer."""
        one, grid = ones(len(inputs[0].size)), int(node.option("grid"))
        values = inputs[0].channels * grid ** len(one)
        yield Layer("pool", inputs[0].channels, inputs[0].channels, one, (grid,) * len(one))
        yield Layer("linear", values, node.channels, one, one, bias=True)
        yield from activation_layers(node, node.channels, one)
