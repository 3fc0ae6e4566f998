"""Transposed convolutions of a decoder, and the heads of networks."""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Free, Node, Shape, primitive


@primitive("transposed")
class Transposed(Free):
    """Transposed convolution whose kernel is the stride: each output voxel depends on one input voxel."""

    block = False
    options = {"bias": True}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Allow any channels."""

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The size of the input, multiplied by the stride."""
        size = tuple(n * s for n, s in zip(inputs[0].size, node.stride, strict=True))
        return Shape(node.channels, size, inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One transposed convolution."""
        size = self.shape(node, inputs).size
        yield Layer("transposed", inputs[0].channels, node.channels, node.stride, size, bias=bool(node.option("bias")))


@primitive("pointwise_head")
class PointwiseHead(Free):
    """Logits of each voxel: a pointwise convolution with a bias, without norm and activation."""

    block = False
    head = True

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Allow any channels."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pointwise convolution."""
        size = inputs[0].size
        yield Layer("conv", inputs[0].channels, node.channels, ones(len(size)), size, bias=True)


@primitive("linear_head")
class LinearHead(Free):
    """Dropout and a linear layer with a bias on one vector per sample; the output is (B, K)."""

    block = False
    head = True
    options = {"dropout": 0.0}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Allow any channels."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One linear layer."""
        one = ones(len(inputs[0].size))
        yield Layer("linear", inputs[0].channels, node.channels, one, one, bias=True)
