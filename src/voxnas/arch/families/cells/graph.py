"""The cell family: cells of two inputs (DARTS, Liu et al. 2019, ICLR); a decoder as in NAS-UNet (Weng et al. 2019).

As in DARTS, each input of a cell is brought to the cell's channels and size first, a node is the sum of its
operations, and the output of a cell is the concatenation of its nodes. An input that no node takes is joined
to the output, as in NASNet (Zoph et al. 2018, CVPR, appendix A.4), so that no cell is ever in vain and each choice of
edges makes a network. The first cell takes the image and the stem. The decoder has one cell a stage; what comes
from the stage below it goes up by a transposed convolution.
"""

from voxnas.arch.families.cells.record import Cells
from voxnas.arch.families.stacked.cell import Cell
from voxnas.arch.families.stacked.graph import Stack
from voxnas.arch.graph import Graph
from voxnas.arch.layers import Size, ones


def cells_graph(architecture: Cells) -> Graph:
    """Spell out a network of stacked cells."""
    stack = Stack(architecture)
    one = ones(len(architecture.strides[0]))
    before = stack.graph.input
    late: Size = architecture.strides[0]  # the stride by which `before` lags behind
    last = stack.convolve(before, 0)
    ends = []
    for stage, count in enumerate(architecture.cells):
        for number in range(count):
            width = architecture.widths[stage]
            reduces = stage > 0 and number == 0
            stride = architecture.strides[stage] if reduces else one
            cell = architecture.reduction if reduces else architecture.normal
            with stack.graph.scope(f"encoder.{stage}.cell.{number}"):
                given = (stack.bring(before, width, late), stack.bring(last, width, one))
                before, last, late = last, _join(stack, cell, given, stage, stride), stride
        ends.append(last)
    decoded = [ends.pop()]
    for stage in reversed(range(len(ends) if architecture.decoder else 0)):
        width = architecture.widths[stage]
        with stack.graph.scope(f"decoder.{stage}"):
            given = (stack.bring(ends[stage], width, one), stack.rise(decoded[0], stage))
            decoded.insert(0, _join(stack, architecture.up, given, stage, one))
    return stack.finish(decoded)


def _join(stack: Stack, cell: Cell, given: tuple[str, str], stage: int, stride: tuple[int, ...]) -> str:
    """A cell's output: its nodes, and the inputs that none of them takes."""
    values = stack.nodes(cell, given, stage, stride)
    taken = {source for edges in cell for source, _ in edges}
    width = stack.architecture.widths[stage]
    joined = [stack.bring(at, width, stride) for i, at in enumerate(given) if i not in taken] + values[len(given) :]
    return joined[0] if len(joined) == 1 else stack.graph.add("concat", tuple(joined))
