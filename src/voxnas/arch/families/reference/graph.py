"""The graph of a hand-made network."""

from voxnas.arch.families.reference.record import Reference
from voxnas.arch.graph import Graph
from voxnas.arch.reference import NETWORKS


def reference_graph(architecture: Reference) -> Graph:
    """Build the network by its name in the registry."""
    build = NETWORKS[architecture.name]
    return build(architecture.in_channels, architecture.out_channels, architecture.dims, **dict(architecture.options))
