"""Descriptions of networks for tables and drawings: stages, choices in words, cells."""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

from voxnas.arch.families.stacked.cell import Cell
from voxnas.arch.graph import Graph, infer_shapes
from voxnas.arch.layers import WEIGHTED, Size, strided
from voxnas.arch.primitives.base import PRIMITIVES
from voxnas.core.architecture import ArchitectureRecord


class Stage(NamedTuple):
    """One drawn box.

    Attributes
    ----------
    part : str
        ``encoder``, ``decoder``, ``head``, ``graph`` or ``linear``.
    stage : int
        Row of the drawing, from the top.
    channels, blocks : int
    kernel, stride, size : str
        Such as ``3x3x3``; empty if not applicable.
    """

    part: str
    stage: int
    channels: int
    blocks: int
    kernel: str = ""
    stride: str = ""
    size: str = ""


@dataclass(frozen=True)
class Description:
    """A network for tables and drawings.

    Attributes
    ----------
    stages : tuple of Stage
        From the input on.
    summary : str
        The choices that hold for all stages, in words.
    returns : bool
        Whether the network leads back to the size of its input. It is drawn as a U, any other as a column.
    cells : mapping of title to (Cell, names of its inputs)
        The small graphs that the network repeats.
    """

    stages: tuple[Stage, ...]
    summary: str
    returns: bool = False
    cells: Mapping[str, tuple[Cell, tuple[str, ...]]] = field(default_factory=dict)


def times(sizes: Sequence[int]) -> str:
    """A size in words, such as ``2x64x64``."""
    return "x".join(map(str, sizes))


def strided_sizes(size: Sequence[int], strides: Sequence[Size]) -> list[str]:
    """Sizes behind each of several strides in words."""
    return [times(size) for size in itertools.accumulate(strides, strided, initial=tuple(size))][1:]


def describe_stages(
    size: Sequence[int], strides: Sequence[Size], widths: Sequence[int], blocks: Sequence[int], kernels: Iterable[str]
) -> list[Stage]:
    """Stages of an encoder on an input of `size` (D, H, W), from their strides, widths, blocks and kernels in words."""
    columns = (widths, blocks, kernels, map(times, strides), strided_sizes(size, strides))
    return [Stage("encoder", number, *column) for number, column in enumerate(zip(*columns, strict=True))]


def describe_graph(graph: Graph, size: Sequence[int]) -> Description:
    """Describe any network on an input of a size, with one stage for each sequence of layers of equal output size."""
    stages: list[Stage] = []
    sizes: list[tuple[int, ...]] = []
    needed = set(graph.needed(training=False))
    for shaped in (shaped for shaped in infer_shapes(graph, tuple(size)) if shaped.node.id in needed):
        own = shaped.output.size
        if not sizes or sizes[-1] != own:
            before = sizes[-1] if sizes else tuple(size)[graph.clip :]
            stride = [round(a / b) for a, b in zip(before, own, strict=True)] if prod(own) <= prod(before) else ()
            stages.append(Stage("graph", len(stages), shaped.output.channels, 0, "", times(stride), times(own)))
            sizes.append(own)
        blocks = stages[-1].blocks + sum(layer.kind in WEIGHTED for layer in shaped.layers)
        channels = stages[-1].channels if PRIMITIVES[shaped.node.op].head else shaped.output.channels
        stages[-1] = stages[-1]._replace(blocks=blocks, channels=channels)
    half = len(sizes) // 2
    returns = half > 0 and sizes == sizes[::-1]
    if returns:
        stages = [
            stage._replace(part="encoder" if number <= half else "decoder", stage=min(number, 2 * half - number))
            for number, stage in enumerate(stages)
        ]
    operations = dict.fromkeys(PRIMITIVES[node.op].title for node in graph.nodes[1:])
    return Description(tuple(stages), f"of {', '.join(operations)}", returns)


def channels_of(architecture: ArchitectureRecord) -> str:
    """Channels in and out, the last part of a summary."""
    return f"{architecture.in_channels} channel(s) in, {architecture.out_channels} out"
