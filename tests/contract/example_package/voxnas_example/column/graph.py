"""Graph of a column."""

from voxnas.arch.graph import GraphBuilder
from voxnas.arch.layers import total


def column_graph(architecture):
    graph = GraphBuilder(architecture.in_channels)
    at = graph.input
    for stage in zip(architecture.blocks, architecture.kernels, architecture.strides, strict=True):
        block, kernel, stride = stage
        at = graph.add(block, at, architecture.width, kernel, stride)
    at = graph.add("linear_head", graph.add("global_pool", at), architecture.out_channels)
    return graph.finish(at, divisor=total(architecture.strides))
