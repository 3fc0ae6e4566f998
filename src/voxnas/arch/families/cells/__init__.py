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
from voxnas.arch.layers import Size


@register
class CellsFamily(Family[Cells]):
    """Stacked cells, for all tasks."""

    record = Cells
    spaces = (CellsCNNSpace(), CellsUNetSpace())

    def graph(self, architecture: Cells) -> Graph:
        """Expand a network of stacked cells."""
        stack = Stack(architecture)

        def join(kind: str, given: tuple[str, str], stage: int, stride: Size) -> str:
            return _join(stack, getattr(architecture, kind), given, stage, stride)

        return stack.grow(join)

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
