"""The block of MedNeXt (Roy et al. 2023, MICCAI, section 2.1), after ConvNeXt (Liu et al. 2022, CVPR, section 2).

A large depthwise convolution, a norm, a pointwise expansion, an activation, a pointwise projection, and a skip. What
differs: the kernel is the node's made `wider` along each axis where it is more than 1 (3 becomes MedNeXt's 5; with
`wider` 4 ConvNeXt's 7), so that thin axes stay thin and the kernels of a search stay different; the expansion is
counted from the smaller of the input and output channels, for a decoder's input is a concatenation here; norm and
activation are the node's (instance and gelu are the paper's); the projection on a skip between different shapes has
a norm.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive, shortcut
from voxnas.arch.primitives.inverted import hidden_channels


def wide_kernel(node: Node) -> Size:
    """Kernel of the depthwise convolution."""
    return tuple(k + int(node.option("wider")) if k > 1 else 1 for k in node.kernel)


@primitive("large_kernel")
class LargeKernel(Primitive):
    """Large depthwise convolution and an inverted bottleneck of pointwise ones, around which leads a skip."""

    options = {"expansion": 4, "wider": 2}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse a kernel that would be even."""
        super().check(node, given, dims)
        if int(node.option("wider")) % 2:
            raise ValueError(f"large_kernel: wider must be even, not {node.option('wider')}")

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A depthwise convolution with its norm, two pointwise ones with biases, and the skip."""
        size, given, one = self.shape(node, inputs).size, inputs[0].channels, ones(len(node.stride))
        hidden = hidden_channels(given, node.channels, int(node.option("expansion")))
        yield from conv_norm(given, given, wide_kernel(node), size, given)
        yield Layer("conv", given, hidden, one, size, bias=True)
        yield Layer("conv", hidden, node.channels, one, size, bias=True)
        yield from shortcut(node, inputs)
