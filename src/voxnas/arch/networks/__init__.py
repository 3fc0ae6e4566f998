"""From an architecture to its graph: one file a family."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from math import prod

from voxnas.arch.architecture import CNN, Architecture, Cells, Clip, Hierarchical, Linear, Matrix, Reference, UNet
from voxnas.arch.graph import Graph, infer_shapes
from voxnas.arch.layers import Layer, ones
from voxnas.arch.networks.cells import cells_graph
from voxnas.arch.networks.clip import clip_graph
from voxnas.arch.networks.cnn import cnn_graph
from voxnas.arch.networks.hierarchical import hierarchical_graph
from voxnas.arch.networks.matrix import matrix_graph
from voxnas.arch.networks.unet import unet_graph
from voxnas.arch.reference import NETWORKS


@functools.lru_cache(maxsize=256)
def expand(architecture: Architecture) -> Graph:
    """The graph of an architecture.

    Raises
    ------
    ValueError
        For the linear baseline, which is not a network and is fitted in closed form.
    """
    if isinstance(architecture, UNet):
        return unet_graph(architecture)
    if isinstance(architecture, CNN):
        return cnn_graph(architecture)
    if isinstance(architecture, Clip):
        return clip_graph(architecture)
    if isinstance(architecture, Matrix):
        return matrix_graph(architecture)
    if isinstance(architecture, Cells):
        return cells_graph(architecture)
    if isinstance(architecture, Hierarchical):
        return hierarchical_graph(architecture)
    if isinstance(architecture, Reference):
        return NETWORKS[architecture.name](
            architecture.in_channels, architecture.out_channels, architecture.dims, **dict(architecture.options)
        )
    raise ValueError(f"family {architecture.family!r} is not a network")


def list_layers(architecture: Architecture, size: Sequence[int]) -> Iterator[Layer]:
    """All layers of an architecture on an input of the given size, in the order of computation.

    The size is (D, H, W), of a network on clips (T, D, H, W).

    Those that only training computes (the heads of deep supervision) have no frames and so no cost but parameters.
    The linear baseline has one weight for each channel and voxel of the given size and output.
    """
    if isinstance(architecture, Linear):
        inputs = architecture.in_channels * prod(size)
        yield Layer("linear", inputs, architecture.out_channels, ones(len(size)), ones(len(size)), bias=True)
        return
    graph = expand(architecture)
    needed = set(graph.needed(training=False))
    for shaped in infer_shapes(graph, tuple(size)):
        for layer in shaped.layers:
            yield layer if shaped.node.id in needed else layer._replace(frames=0)
