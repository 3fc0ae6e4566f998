"""A grouped convolution and a pointwise one that mixes the groups (after Xie et al. 2017, CVPR)."""

from math import gcd

from voxnas.arch.layers import divisor_up_to, ones
from voxnas.arch.primitives.base import Primitive, conv_norm


def groups_of(node, in_channels):
    return divisor_up_to(gcd(in_channels, node.channels), int(node.option("groups")))


class Grouped(Primitive):
    """A convolution in groups."""

    name = "grouped"
    options = {"groups": 4}  # noqa: RUF012 - read only

    def layers(self, node, inputs):
        size = self.shape(node, inputs).size
        yield from conv_norm(inputs[0].channels, node.channels, node.kernel, size, groups_of(node, inputs[0].channels))
        yield from conv_norm(node.channels, node.channels, ones(len(size)), size)


GROUPED = Grouped()
