"""The block of MedNeXt (Roy et al. 2023, MICCAI, section 2.1), after ConvNeXt (Liu et al. 2022, CVPR, section 2).

A large depthwise convolution, a norm, a pointwise expansion, an activation, a pointwise projection, and a skip.

Differences from the paper:

- The option `wider` is added to the kernel of the node along each axis where the kernel exceeds 1 (3 becomes 5 as in
  MedNeXt; with `wider` 4 it becomes 7 as in ConvNeXt). So thin axes stay thin, and different kernels stay different.
- The expansion multiplies the smaller of the input and output channels, for the input of a decoder is a concatenation.
- Norm and activation are those of the node (paper: instance norm and GELU).
- The projection on a skip between different shapes has a norm.
"""

from collections.abc import Iterator, Sequence

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import Node, Primitive, Shape, conv_norm, primitive, shortcut
from voxnas.arch.primitives.inverted import hidden_channels


def wide_kernel(node: Node) -> Size:
    """Kernel of the depthwise convolution."""
    return tuple(k + int(node.option("wider")) if k > 1 else 1 for k in node.kernel)


@primitive("large_kernel")
class LargeKernel(Primitive):
    """A large depthwise convolution and an inverted bottleneck of pointwise convolutions, with a skip around both."""

    options = {"expansion": 4, "wider": 2}  # noqa: RUF012 - read only

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse an odd `wider`, which makes the kernel even."""
        super().check(node, given, dims)
        if int(node.option("wider")) % 2:
            raise ValueError(f"large_kernel: wider must be even, not {node.option('wider')}")

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """A depthwise convolution with its norm, two pointwise convolutions with biases, and the skip."""
        size, given, one = self.shape(node, inputs).size, inputs[0].channels, ones(len(node.stride))
        hidden = hidden_channels(given, node.channels, int(node.option("expansion")))
        yield from conv_norm(given, given, wide_kernel(node), size, given)
        yield Layer("conv", given, hidden, one, size, bias=True)
        yield Layer("conv", hidden, node.channels, one, size, bias=True)
        yield from shortcut(node, inputs)
