"""Networks on a matrix of connections between regions, for classification and regression."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.matrix.graph import matrix_graph
from voxnas.arch.families.matrix.record import Matrix
from voxnas.arch.families.matrix.space import MatrixSpace


@register
class MatrixFamily(Family[Matrix]):
    """Multilayer perceptrons on the pairs, and relatives of BrainNetCNN."""

    record = Matrix
    spaces = (MatrixSpace(),)
    graph = staticmethod(matrix_graph)
