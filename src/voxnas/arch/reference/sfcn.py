"""SFCN (Peng et al. 2021, Medical Image Analysis)."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import classify, conv
from voxnas.arch.reference.registry import VECTOR, Published, network

WIDTHS = (32, 64, 128, 256, 256)


@network(
    "sfcn-published",
    "Peng et al. 2021, Medical Image Analysis",
    VECTOR,
    Published(2_952_936, "the authors' SFCN for 40 age bins", dims=3, in_channels=1, out_channels=40),
)
def sfcn(in_channels: int, out_channels: int, dims: int) -> Graph:
    """Five convolutions with max pooling, a pointwise one of 64, global average pooling, dropout, a linear layer.

    Difference from the paper: the activation precedes the max pooling, with equal results.
    """
    graph = GraphBuilder(in_channels, dims, "batch", "relu")
    at = graph.input
    for width in WIDTHS:
        at = graph.add("window_max", conv(graph, at, width, bias=True), kernel=2, stride=2)
    return graph.finish(classify(graph, conv(graph, at, 64, 1, bias=True), out_channels, 0.5))
