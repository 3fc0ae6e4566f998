"""Networks on clips: a spatial encoder of each frame, operators along time in its stages, a head over time."""

from voxnas.arch.families.clip.record import Clip
from voxnas.arch.families.staged.graph import add_chain, begin, pool_first, pool_places
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.layers import Size, total
from voxnas.arch.primitives.base import Value


def clip_graph(architecture: Clip) -> Graph:
    """Spell out a network on clips: encoder, optional pointwise layer, pooling, head over time, linear layer."""
    graph = begin(architecture, clip=True)
    at = graph.input
    for stage in range(len(architecture.widths)):
        with graph.scope(f"encoder.{stage}"):
            at, stride = pool_first(graph, architecture, stage, at)
            at = _add_stage(graph, architecture, stage, at, stride)
    if architecture.head_width:
        at = graph.add("plain", at, architecture.head_width, name="pointwise")
    at = pool_places(graph, architecture.head_grid, at)
    at = graph.add(f"time_{architecture.time_head}", at, architecture.time_width or None, name="time_head")
    options: dict[str, Value] = {"dropout": architecture.dropout}
    head = graph.add("linear_head", at, architecture.out_channels, options=options, name="head")
    return graph.finish(head, divisor=total(architecture.strides))


def _add_stage(graph: GraphBuilder, architecture: Clip, stage: int, at: str, stride: Size) -> str:
    """Blocks of a stage, each with its operator along time.

    The channels are shifted before a block, which mixes them (Lin et al. 2019; theirs lies within a residual branch),
    but not those of the input. The other operators follow the block.
    """
    operator = architecture.temporal[stage]
    for number in range(architecture.blocks[stage]):
        first = stage == 0 and number == 0
        if operator == "shift" and not first:
            at = graph.add("time_shift", at, name=f"block.{number}_time")
        block = architecture.block[stage]
        at = add_chain(graph, architecture, stage, at, block, range(number, number + 1), stride, stem=first)
        if operator == "conv":
            time_stride = 1 if number else architecture.time_strides[stage]
            options: dict[str, Value] = {"time_kernel": architecture.time_kernel, "time_stride": time_stride}
            at = graph.add("time_conv", at, options=options, name=f"block.{number}_time")
        elif operator == "attention":
            at = graph.add("time_attention", at, name=f"block.{number}_time")
    return at
