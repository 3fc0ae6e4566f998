"""Networks of stacked cells with two inputs (DARTS, Liu et al. 2019, ICLR; NAS-UNet, Weng et al. 2019).

As in DARTS, each input of a cell is first projected to the channels and the size of the cell, a node is the sum of its
operations, and the output of a cell is the concatenation of its nodes. Inputs that no node uses are concatenated too,
as in NASNet (Zoph et al. 2018, CVPR, appendix A.4), so that any choice of edges makes a connected network. The inputs
of the first cell are the image and the stem. The decoder, as in NAS-UNet, has one cell a stage; a transposed
convolution up-samples the output of the stage below.
"""

from collections.abc import Sequence

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.cells.record import Cells
from voxnas.arch.families.cells.space import CellsCNNSpace, CellsUNetSpace
from voxnas.arch.families.description import Description
from voxnas.arch.families.stacked.cell import Cell
from voxnas.arch.families.stacked.describe import describe_stacked
from voxnas.arch.families.stacked.graph import Stack
from voxnas.arch.graph import Graph
from voxnas.arch.layers import Size, ones


@register
class CellsFamily(Family[Cells]):
    """Stacked cells, for all tasks."""

    record = Cells
    spaces = (CellsCNNSpace(), CellsUNetSpace())

    def graph(self, architecture: Cells) -> Graph:
        """Expand a network of stacked cells."""
        stack = Stack(architecture)
        one = ones(len(architecture.strides[0]))
        before = stack.graph.input
        late: Size = architecture.strides[0]  # the stride between `before` and `last`
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
            with stack.graph.scope(f"decoder.{stage}"):
                given = (stack.bring(ends[stage], architecture.widths[stage], one), stack.rise(decoded[0], stage))
                decoded.insert(0, _join(stack, architecture.up, given, stage, one))
        return stack.finish(decoded)

    def describe(self, architecture: Cells, size: Sequence[int]) -> Description:
        """Describe the stages on an input of `size` (D, H, W), and each kind of cell in the network."""
        before = ("last but one", "last")
        cells = {"normal cell": (architecture.normal, before)}
        if len(architecture.widths) > 1:
            cells["reduction cell"] = (architecture.reduction, before)
            if architecture.decoder:
                cells["decoder cell"] = (architecture.up, ("beside", "below"))
        return describe_stacked(architecture, size, cells)


def _join(stack: Stack, cell: Cell, given: tuple[str, str], stage: int, stride: tuple[int, ...]) -> str:
    """Concatenate the nodes of a cell and the inputs that none of them uses."""
    values = stack.nodes(cell, given, stage, stride)
    taken = {source for edges in cell for source, _ in edges}
    width = stack.architecture.widths[stage]
    joined = [stack.bring(at, width, stride) for i, at in enumerate(given) if i not in taken] + values[len(given) :]
    return joined[0] if len(joined) == 1 else stack.graph.add("concat", tuple(joined))
