"""Networks on clips, for classification and regression: a spatial encoder of each frame with operators along time."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.clip.per_frame import without_time
from voxnas.arch.families.clip.record import Clip
from voxnas.arch.families.clip.space import ClipSpace
from voxnas.arch.families.staged.graph import add_chain, begin, pool_first, pool_map
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.layers import Size, total


@register
class ClipFamily(Family[Clip]):
    """Encoders of each frame with operators along time and a head over time."""

    record = Clip
    spaces = (ClipSpace(),)
    without_time = staticmethod(without_time)

    def graph(self, architecture: Clip) -> Graph:
        """Expand a network: encoder, optional pointwise layer, pooling, head over time, linear layer."""
        graph = begin(architecture, clip=True)
        at = graph.input
        for stage in range(len(architecture.widths)):
            with graph.scope(f"encoder.{stage}"):
                at, stride = pool_first(graph, architecture, stage, at)
                at = _add_stage(graph, architecture, stage, at, stride)
        at = pool_map(graph, architecture, at)
        at = graph.add(f"time_{architecture.time_head}", at, architecture.time_width or None, name="time_head")
        dropout = {"dropout": architecture.dropout}
        head = graph.add("linear_head", at, architecture.out_channels, options=dropout, name="head")
        return graph.finish(head, divisor=total(architecture.strides))


def _add_stage(graph: GraphBuilder, architecture: Clip, stage: int, at: str, stride: Size) -> str:
    """Add the blocks of a stage, each with its operator along time.

    A shift precedes its block, whose convolution mixes the shifted channels (Lin et al. 2019 shift within the residual
    branch); the channels of the input are not shifted. The other operators follow the block.
    """
    operator, block = architecture.temporal[stage], architecture.block[stage]
    for number in range(architecture.blocks[stage]):
        first = stage == 0 and number == 0
        if operator == "shift" and not first:
            at = graph.add("time_shift", at, name=f"block.{number}_time")
        at = add_chain(graph, architecture, stage, at, block, range(number, number + 1), stride, stem=first)
        if operator == "conv":
            time_stride = 1 if number else architecture.time_strides[stage]
            options = {"time_kernel": architecture.time_kernel, "time_stride": time_stride}
            at = graph.add("time_conv", at, options=options, name=f"block.{number}_time")
        elif operator == "attention":
            at = graph.add("time_attention", at, name=f"block.{number}_time")
    return at
