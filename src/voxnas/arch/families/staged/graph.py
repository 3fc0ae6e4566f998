"""The encoder of networks in stages of blocks, each stage with its down-sampling."""

import math

from voxnas.arch.families.staged.record import Headed, Staged
from voxnas.arch.graph import GraphBuilder
from voxnas.arch.layers import Size
from voxnas.arch.primitives.base import PRIMITIVES


def begin(architecture: Staged, clip: bool = False) -> GraphBuilder:
    """An empty graph with the norm and the activation of an architecture, on a clip or on single volumes."""
    return GraphBuilder(
        architecture.in_channels, len(architecture.strides[0]), architecture.norm, architecture.activation, clip
    )


def pool_first(graph: GraphBuilder, architecture: Staged, stage: int, at: str) -> tuple[str, Size]:
    """The pooling of node `at` on entering a stage, if pooling samples down; and the stride left to the blocks."""
    stride = architecture.strides[stage]
    if architecture.downsample == "stride" or all(s == 1 for s in stride):
        return at, stride
    return graph.add(f"{architecture.downsample}_pool", at, stride=stride, name="pool"), (1,) * len(stride)


def add_chain(
    graph: GraphBuilder,
    architecture: Staged,
    stage: int,
    at: str,
    name: str,
    numbers: range,
    stride: Size,
    stem: bool = False,
) -> str:
    """Blocks `name` of a stage, with these numbers, one after the other from node `at`; block 0 has the stride.

    With `stem` block 0 is that which the primitive has for a network's beginning: expanding
    or grouping the few input channels would add nothing.
    """
    width, kernel = architecture.widths[stage], architecture.kernels[stage]
    for number in numbers:
        op = PRIMITIVES[name].stem if stem and number == 0 else name
        options = {k: v for k, v in architecture.block_options(stage).items() if k in PRIMITIVES[op].options}
        within = None if number else stride
        at = graph.add(op, at, width, kernel, within, options=options, name=f"block.{number}")
        if architecture.excite[stage]:
            at = graph.add("excite", at, name=f"block.{number}_excite")
    return at


def add_encoder(graph: GraphBuilder, architecture: Staged) -> list[str]:
    """All stages; returns the last node of each."""
    ends, at = [], graph.input
    for stage, blocks in enumerate(architecture.blocks):
        block, stem = architecture.block[stage], stage == 0
        with graph.scope(f"encoder.{stage}"):
            at, stride = pool_first(graph, architecture, stage, at)
            at = add_chain(graph, architecture, stage, at, block, range(blocks), stride, stem)
        ends.append(at)
    return ends


def pool_map(graph: GraphBuilder, architecture: Headed, at: str) -> str:
    """Pool the map of node `at`, after the optional pointwise layer, to one vector per sample; returns the last node.

    The vector holds the mean over the map, or the means at each place of the grid of the head.
    """
    if architecture.head_width:
        at = graph.add("plain", at, architecture.head_width, name="pointwise")
    grid, places = architecture.head_grid, math.prod(architecture.head_grid)
    if places == 1:
        return graph.add("global_pool", at)
    return graph.add("grid_pool", at, graph.channels(at) * places, kernel=grid)
