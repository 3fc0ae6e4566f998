"""Description of a network of stacked cells with two inputs."""

from collections.abc import Sequence

from voxnas.arch.families.cells.record import Cells
from voxnas.arch.families.description import Description
from voxnas.arch.families.stacked.describe import describe_stacked


def describe_cells(architecture: Cells, size: Sequence[int]) -> Description:
    """The stages on an input (D, H, W), and each kind of cell that the network has."""
    before = ("last but one", "last")
    cells = {"normal cell": (architecture.normal, before)}
    if len(architecture.widths) > 1:
        cells["reduction cell"] = (architecture.reduction, before)
        if architecture.decoder:
            cells["decoder cell"] = (architecture.up, ("beside", "below"))
    return describe_stacked(architecture, size, cells)
