"""Description of a network of motifs of motifs."""

from collections.abc import Sequence

from voxnas.arch.families.description import Description
from voxnas.arch.families.hierarchical.record import Hierarchical
from voxnas.arch.families.stacked.describe import describe_stacked


def describe_hierarchical(architecture: Hierarchical, size: Sequence[int]) -> Description:
    """The stages on an input (D, H, W), and the cell."""
    cells = {"cell: motifs of motifs, spelled out": (architecture.cell, ("input",))}
    return describe_stacked(architecture, size, cells)
