"""The encoder of networks in stages: blocks one after the other, each stage with its down-sampling."""

from __future__ import annotations

import math

from voxnas.arch.families.staged.record import Staged
from voxnas.arch.graph import GraphBuilder
from voxnas.arch.layers import Size
from voxnas.arch.primitives.base import PRIMITIVES


def begin(architecture: Staged, clip: bool = False) -> GraphBuilder:
    """An empty graph with the norm and the activation of an architecture."""
    return GraphBuilder(
        architecture.in_channels, len(architecture.strides[0]), architecture.norm, architecture.activation, clip
    )


def pool_first(graph: GraphBuilder, architecture: Staged, stage: int, at: int) -> tuple[int, Size]:
    """The pooling on entering a stage, if it is pooling that samples down; and the stride left to the blocks."""
    stride = architecture.strides[stage]
    if architecture.downsample == "stride" or all(s == 1 for s in stride):
        return at, stride
    return graph.add(f"{architecture.downsample}_pool", at, stride=stride), (1,) * len(stride)


def add_chain(
    graph: GraphBuilder,
    architecture: Staged,
    stage: int,
    at: int,
    name: str,
    count: int,
    stride: Size,
    stem: bool = False,
) -> int:
    """Blocks `name` of a stage one after the other; the first changes the channels and has the stride.

    With `stem` the first block is that which the primitive has for a network's beginning: expanding
    or grouping the few input channels would add nothing.
    """
    width, kernel = architecture.widths[stage], architecture.kernels[stage]
    for number in range(count):
        op = PRIMITIVES[name].stem if stem and number == 0 else name
        options = {k: v for k, v in architecture.block_options(stage).items() if k in PRIMITIVES[op].options}
        at = graph.add(op, at, width, kernel, stride if number == 0 else None, options=options)
        if architecture.excite[stage]:
            at = graph.add("excite", at)
    return at


def add_encoder(graph: GraphBuilder, architecture: Staged) -> list[int]:
    """All stages; returns the last node of each."""
    ends, at = [], graph.input
    for stage, blocks in enumerate(architecture.blocks):
        at, stride = pool_first(graph, architecture, stage, at)
        at = add_chain(graph, architecture, stage, at, architecture.block[stage], blocks, stride, stem=stage == 0)
        ends.append(at)
    return ends


def pool_places(graph: GraphBuilder, grid: Size, at: int) -> int:
    """One vector a sample: the mean over the map, or the means at each place of a grid."""
    places = math.prod(grid)
    if places == 1:
        return graph.add("global_pool", at)
    return graph.add("grid_pool", at, graph.channels(at) * places, kernel=grid)
