"""Networks of one stacked cell, built from motifs of motifs (Liu et al. 2018, ICLR).

The cell is expanded from its motifs by :func:`~voxnas.arch.families.stacked.cell.flatten`. Differences from the paper:
values are summed, not concatenated, so that every operation has the channels of its stage; a plain convolution with the
stride leads from stage to stage (paper: separable). The decoder mirrors the encoder: a transposed convolution,
concatenation with the encoder stage of equal size, a pointwise convolution to the width of the stage, and one cell.
"""

from collections.abc import Sequence

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.description import Description
from voxnas.arch.families.hierarchical.record import Hierarchical
from voxnas.arch.families.hierarchical.space import HierarchicalCNNSpace, HierarchicalUNetSpace
from voxnas.arch.families.stacked.describe import describe_stacked
from voxnas.arch.families.stacked.graph import Stack
from voxnas.arch.graph import Graph
from voxnas.arch.layers import ones


@register
class HierarchicalFamily(Family[Hierarchical]):
    """Stacked motifs of motifs, for all tasks."""

    record = Hierarchical
    spaces = (HierarchicalCNNSpace(), HierarchicalUNetSpace())

    def graph(self, architecture: Hierarchical) -> Graph:
        """Expand a network of one stacked cell."""
        stack = Stack(architecture)
        at, ends = stack.graph.input, []
        for stage, count in enumerate(architecture.cells):
            at = stack.convolve(at, stage)
            for number in range(count):
                with stack.graph.scope(f"encoder.{stage}.cell.{number}"):
                    at = stack.nodes(architecture.cell, (at,), stage)[-1]
            ends.append(at)
        decoded = [ends.pop()]
        for stage in reversed(range(len(ends) if architecture.decoder else 0)):
            with stack.graph.scope(f"decoder.{stage}"):
                joined = stack.graph.add("concat", (ends[stage], stack.rise(decoded[0], stage)))
                at = stack.bring(joined, architecture.widths[stage], ones(len(architecture.strides[0])))
                decoded.insert(0, stack.nodes(architecture.cell, (at,), stage)[-1])
        return stack.finish(decoded)

    def describe(self, architecture: Hierarchical, size: Sequence[int]) -> Description:
        """Describe the stages on an input of `size` (D, H, W), and the cell."""
        cells = {"cell: motifs of motifs, spelled out": (architecture.cell, ("input",))}
        return describe_stacked(architecture, size, cells)
