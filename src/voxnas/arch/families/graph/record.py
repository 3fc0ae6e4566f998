"""Record of a network whose graph is written out."""

from typing import Literal, Self

from pydantic import model_validator

from voxnas.arch.graph import Graph
from voxnas.core.architecture import ArchitectureRecord


class GraphNetwork(ArchitectureRecord):
    """A network that holds its graph.

    Two records with equal graphs but other identities of the nodes have different keys, for the identities name the
    weights; :func:`voxnas.arch.graph.graph_digest` ignores them.
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
