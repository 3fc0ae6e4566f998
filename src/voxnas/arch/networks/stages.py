"""The encoder that the macro families share: stages of blocks, each with its down-sampling."""

from __future__ import annotations

import math
from collections.abc import Sequence

from voxnas.arch.architecture import CNN, Clip, UNet
from voxnas.arch.graph import GraphBuilder
from voxnas.arch.layers import Size
from voxnas.arch.primitives.base import PRIMITIVES, Value


def begin(architecture: UNet | CNN | Clip, clip: bool = False) -> GraphBuilder:
    """An empty graph with the norm and the activation of an architecture."""
    return GraphBuilder(
        architecture.in_channels, len(architecture.strides[0]), architecture.norm, architecture.activation, clip
    )


def pool_first(graph: GraphBuilder, architecture: UNet | CNN | Clip, stage: int, at: str) -> tuple[str, Size]:
    """The pooling on entering a stage, if it is pooling that samples down; and the stride left to the blocks."""
    stride = architecture.strides[stage]
    if architecture.downsample == "stride" or all(s == 1 for s in stride):
        return at, stride
    return graph.add(f"{architecture.downsample}_pool", at, stride=stride, name="pool"), (1,) * len(stride)


def add_chain(
    graph: GraphBuilder,
    architecture: UNet | CNN | Clip,
    stage: int,
    at: str,
    name: str,
    numbers: range,
    stride: Size,
    stem: bool = False,
) -> str:
    """Blocks `name` of a stage one after the other; block 0 changes the channels and has the stride.

    With `stem` block 0 is that which the primitive has for a network's beginning: expanding
    or grouping the few input channels would add nothing.
    """
    width, kernel = architecture.widths[stage], architecture.kernels[stage]
    for number in numbers:
        op = PRIMITIVES[name].stem if stem and number == 0 else name
        options: dict[str, Value] = {}
        if "expansion" in PRIMITIVES[op].options:
            options["expansion"] = architecture.expansion[stage]
        if "threshold" in PRIMITIVES[op].options and isinstance(architecture, Clip):
            options["threshold"] = architecture.threshold
        within = None if number else stride
        at = graph.add(op, at, width, kernel, within, options=options, name=f"block.{number}")
        if architecture.excite[stage]:
            at = graph.add("excite", at, name=f"block.{number}_excite")
    return at


def add_encoder(graph: GraphBuilder, architecture: UNet | CNN) -> list[str]:
    """All stages; returns the last node of each."""
    ends, at = [], graph.input
    for stage, blocks in enumerate(architecture.blocks):
        block, stem = architecture.block[stage], stage == 0
        with graph.scope(f"encoder.{stage}"):
            at, stride = pool_first(graph, architecture, stage, at)
            at = add_chain(graph, architecture, stage, at, block, range(blocks), stride, stem)
        ends.append(at)
    return ends


def add_heads(graph: GraphBuilder, decoded: Sequence[str], out_channels: int) -> list[str]:
    """A head on the output of each decoder stage, from full resolution on; the first gives the network's answer."""
    names = ["head", *(f"auxiliary.{stage}" for stage in range(1, len(decoded)))]
    return [graph.add("pointwise_head", at, out_channels, name=name) for at, name in zip(decoded, names, strict=True)]


def pool_places(graph: GraphBuilder, grid: Size, at: str) -> str:
    """One vector a sample: the mean over the map, or the means at each place of a grid."""
    places = math.prod(grid)
    if places == 1:
        return graph.add("global_pool", at)
    return graph.add("grid_pool", at, graph.channels(at) * places, kernel=grid)
