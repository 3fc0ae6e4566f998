"""Networks on a matrix of connections between regions, for classification and regression."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.matrix.record import Matrix
from voxnas.arch.families.matrix.space import MatrixSpace
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.parts import bare
from voxnas.arch.primitives.pairs import count_pairs
from voxnas.arch.reference.brainnetcnn import edge_to_edge


@register
class MatrixFamily(Family[Matrix]):
    """Multilayer perceptrons on the pairs of regions, and variants of BrainNetCNN."""

    record = Matrix
    spaces = (MatrixSpace(),)

    def graph(self, architecture: Matrix) -> Graph:
        """Expand a network: layers that read the matrix (1, R, R), hidden layers, linear layer; dropout before each."""
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
        head = graph.add("linear_head", at, architecture.out_channels, options={"dropout": dropout}, name="head")
        return graph.finish(head)
