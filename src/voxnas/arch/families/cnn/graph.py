"""CNNs for classification and regression: 3D ResNet (Hara et al. 2018) and SFCN (Peng et al. 2021)."""

from voxnas.arch.families.cnn.record import CNN
from voxnas.arch.families.staged.graph import add_encoder, begin, pool_places
from voxnas.arch.graph import Graph
from voxnas.arch.layers import total
from voxnas.arch.primitives.base import Value


def cnn_graph(architecture: CNN) -> Graph:
    """Spell out a CNN: encoder, optional pointwise layer, average pooling, dropout, linear layer."""
    graph = begin(architecture)
    at = add_encoder(graph, architecture)[-1]
    if architecture.head_width:
        at = graph.add("plain", at, architecture.head_width, name="pointwise")
    at = pool_places(graph, architecture.head_grid, at)
    options: dict[str, Value] = {"dropout": architecture.dropout}
    head = graph.add("linear_head", at, architecture.out_channels, options=options, name="head")
    return graph.finish(head, divisor=total(architecture.strides))
