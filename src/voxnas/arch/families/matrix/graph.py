"""Networks on a matrix of connections: by its pairs, by its rows, or by crosses of rows and columns."""

from voxnas.arch.families.matrix.record import Matrix
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare
from voxnas.arch.primitives.base import Value
from voxnas.arch.primitives.pairs import count_pairs
from voxnas.arch.reference.brainnetcnn import edge_to_edge


def matrix_graph(architecture: Matrix) -> Graph:
    """Spell out a network: what reads the matrix (1, R, R), hidden layers, linear layer; a dropout before each."""
    regions = architecture.regions
    graph = GraphBuilder(architecture.in_channels, 3, activation=architecture.activation)
    row, column = (1, 1, regions), (1, regions, 1)
    at = graph.input
    if architecture.reads == "pairs":
        at = graph.add("pairs", at, architecture.in_channels * count_pairs(regions))
    else:
        for layer, width in enumerate(architecture.edges):
            with graph.scope(f"edges.{layer}"):
                at = edge_to_edge(graph, at, width, row, column)
        at = bare(graph, at, architecture.nodes, row, row, bias=True, activate=True)
        at = graph.add("grid_pool", at, architecture.nodes * regions, kernel=column)
    dropout = architecture.input_dropout
    for layer, width in enumerate(architecture.hidden):
        at = graph.add("dense", at, width, options={"dropout": dropout}, name=f"hidden.{layer}")
        dropout = architecture.dropout
    options: dict[str, Value] = {"dropout": dropout}
    return graph.finish(graph.add("linear_head", at, architecture.out_channels, options=options, name="head"))
