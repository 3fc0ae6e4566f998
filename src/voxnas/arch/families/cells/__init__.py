"""Networks of stacked cells with two inputs (DARTS, Liu et al. 2019; NAS-UNet, Weng et al. 2019)."""

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.cells.describe import describe_cells
from voxnas.arch.families.cells.graph import cells_graph
from voxnas.arch.families.cells.record import Cells
from voxnas.arch.families.cells.space import CellsCNNSpace, CellsUNetSpace


@register
class CellsFamily(Family[Cells]):
    """Stacked cells, for all tasks."""

    record = Cells
    spaces = (CellsCNNSpace(), CellsUNetSpace())
    graph = staticmethod(cells_graph)
    describe = staticmethod(describe_cells)
