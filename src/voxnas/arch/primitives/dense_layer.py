"""The layer of a DenseNet (Huang et al. 2017, CVPR, section 3)."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive

BOTTLENECK = 4  # channels between the two convolutions, in multiples of the growth


@primitive("dense_layer")
class DenseLayer(Primitive):
    """Norm, activation and pointwise convolution, then the same with a kernel; the input is concatenated.

    The output has the channels of the input and `growth` more. This is DenseNet-B of the paper.
    """

    block = False
    options = {"growth": 32}  # noqa: RUF012 - read only

    def channels(self, given: Sequence[int], asked: int | None) -> int:
        """Return the channels `asked` for, by default the channels of the input (`given`) plus the default growth."""
        return given[0] + int(self.options["growth"]) if asked is None else asked

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse a node whose channels are not the sum of the channels of the input and the growth."""
        if node.channels != given[0] + int(node.option("growth")):
            raise ValueError(f"dense_layer on {given[0]} channels does not give {node.channels}")

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Two norms with convolutions, and the concatenation."""
        size, one, growth = inputs[0].size, ones(len(node.stride)), int(node.option("growth"))
        for channels, outputs, kernel in (
            (inputs[0].channels, BOTTLENECK * growth, one),
            (BOTTLENECK * growth, growth, node.kernel),
        ):
            yield Layer("norm", channels, channels, one, size)
            yield Layer("conv", channels, outputs, kernel, size)
        yield Layer("move", node.channels, node.channels, one, size)
