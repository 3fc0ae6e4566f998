"""Module of :mod:`voxnas_example.statement`, which itself needs no torch."""

from torch import nn

from voxnas.nn.ops.base import ConvNorm, pointwise
from voxnas_example.statement import groups_of


def grouped(node, channels):
    return nn.Sequential(
        ConvNorm(
            channels[0],
            node.channels,
            node.kernel,
            node.stride,
            node.norm,
            node.activation,
            groups=groups_of(node, channels[0]),
        ),
        pointwise(node.channels, node.channels, node),
    )
