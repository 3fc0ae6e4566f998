"""Networks whose graph is written out: pruned, discretised, or made by another program."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.graph.record import GraphNetwork
from voxnas.arch.graph import Graph

__all__ = ["GraphFamily", "GraphNetwork"]


@register
class GraphFamily(Family[GraphNetwork]):
    """Networks of any shape. No search space leads to them."""

    record = GraphNetwork

    def graph(self, architecture: GraphNetwork) -> Graph:
        """The graph of the record."""
        return architecture.graph
