"""BrainNetCNN (Kawahara et al. 2017, NeuroImage): cross-shaped filters on a matrix of connections between regions."""

from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare
from voxnas.arch.reference.registry import VECTOR, Published, network


def edge_to_edge(graph: GraphBuilder, at: str, channels: int, row: tuple[int, ...], column: tuple[int, ...]) -> str:
    """Convolve node `at` to `channels`: each connection from its whole row and column (section 2.2.1), added."""
    spread = []
    for line in (row, column):
        summed = bare(graph, at, channels, line, line, bias=True)
        wide = graph.add("upsample", summed, stride=line, options={"mode": "nearest"})
        spread.append(graph.add("crop", (wide, at)))
    return graph.add("activate", graph.add("add", tuple(spread)))


@network(
    "brainnetcnn",
    "Kawahara et al. 2017, NeuroImage",
    VECTOR,
    Published(
        933_277,
        "BrainNetCNN in the code of Kan et al. 2022, NeurIPS, for 200 regions",
        in_channels=1,
        out_channels=2,
    ),
    dims=(2, 3),
)
def brainnetcnn(in_channels: int, out_channels: int, dims: int, regions: int = 200, width: int = 32) -> Graph:
    """Two edge-to-edge layers of `width` on `regions`, edge-to-node, node-to-graph, dense layers of 128 and 30.

    The last two axes are the matrix. The layers have the sizes of Kan et al. 2022; the slope of the leaky ReLU is
    0.01 here, 0.33 there. A filter is as long as the matrix, a convolution whose kernel is its stride.
    """
    graph = GraphBuilder(in_channels, dims, activation="leaky_relu")
    before = (1,) * (dims - 2)
    row, column = (*before, 1, regions), (*before, regions, 1)
    at = graph.input
    for layer, channels in enumerate((width, 2 * width)):
        with graph.scope(f"edges.{layer}"):
            at = edge_to_edge(graph, at, channels, row, column)
    at = bare(graph, at, 1, row, row, bias=True, activate=True)
    at = bare(graph, at, 8 * width, column, column, bias=True, activate=True)
    at = graph.add("dense", at, 4 * width, options={"dropout": 0.5})
    at = graph.add("dense", at, 30, options={"dropout": 0.5})
    return graph.finish(graph.add("linear_head", at, out_channels, options={"dropout": 0.5}, name="head"))
