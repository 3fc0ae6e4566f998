"""Networks given by an explicit graph: pruned, discretised, or made by another program."""

from typing import Literal, Self

from pydantic import model_validator

from voxnas.arch.families.base import Family, register
from voxnas.arch.graph import Graph
from voxnas.core.architecture import ArchitectureRecord


class GraphNetwork(ArchitectureRecord):
    """A network with an explicit graph.

    Records with equal graphs but different identities of the nodes have different keys, for the identities are the
    names of the weights; :func:`voxnas.arch.graph.graph_digest` ignores the identities.
    """

    family: Literal["graph"] = "graph"
    graph: Graph

    @model_validator(mode="after")
    def _channels_agree(self) -> Self:
        nodes = self.graph.by_id()
        for name, identity in (("in", self.graph.nodes[0].id), *(("out", output) for output in self.graph.outputs)):
            stated, own = getattr(self, f"{name}_channels"), nodes[identity].channels
            if own != stated:
                raise ValueError(f"{name}_channels = {stated} where the node {identity!r} has {own}")
        return self


@register
class GraphFamily(Family[GraphNetwork]):
    """Networks of any shape, without a search space."""

    record = GraphNetwork

    def graph(self, architecture: GraphNetwork) -> Graph:
        """Return the graph of the record."""
        return architecture.graph
