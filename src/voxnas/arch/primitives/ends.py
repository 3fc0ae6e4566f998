"""What stands at the ends of a network: the way up, heads, dropout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, primitive


@primitive("transposed")
class Transposed(Primitive):
    """Transposed convolution whose kernel is the stride: every output voxel is reached once."""

    block = False
    options = {"bias": True}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Any channels will do."""

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """The input's size, multiplied."""
        size = tuple(n * s for n, s in zip(inputs[0].size, node.stride, strict=True))
        return Shape(node.channels, size, inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One transposed convolution."""
        size = self.shape(node, inputs).size
        yield Layer("transposed", inputs[0].channels, node.channels, node.stride, size, bias=bool(node.option("bias")))


@primitive("pointwise_head")
class PointwiseHead(Primitive):
    """Logits of each voxel: a pointwise convolution with a bias, and nothing behind it."""

    block = False
    head = True

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Any channels will do."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One pointwise convolution."""
        size = inputs[0].size
        yield Layer("conv", inputs[0].channels, node.channels, ones(len(size)), size, bias=True)


@primitive("linear_head")
class LinearHead(Primitive):
    """Dropout and a linear layer with a bias on one vector a sample; gives (B, K)."""

    block = False
    head = True
    options = {"dropout": 0.0}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Any channels will do."""

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """One linear layer."""
        one = ones(len(inputs[0].size))
        yield Layer("linear", inputs[0].channels, node.channels, one, one, bias=True)
