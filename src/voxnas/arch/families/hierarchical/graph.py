"""Graphs of hierarchical networks (Liu et al. 2018, ICLR): one cell, stacked.

The cell is made of motifs of motifs (:func:`~voxnas.arch.families.stacked.cell.flatten`). Unlike in the paper, values
are summed and not concatenated, so that every operation has the channels of its stage; a plain convolution with the
stride leads from stage to stage, where the paper has a separable one. The decoder mirrors the encoder: a transposed
convolution, concatenation with the stage beside it, a pointwise convolution to the width, and one cell.
"""

from voxnas.arch.families.hierarchical.record import Hierarchical
from voxnas.arch.families.stacked.graph import Stack
from voxnas.arch.graph import Graph
from voxnas.arch.layers import ones


def hierarchical_graph(architecture: Hierarchical) -> Graph:
    """Spell out a network of one cell, stacked."""
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
