"""Record of a network of motifs of motifs."""

from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from voxnas.arch.families.stacked.cell import Cell, canonical, check_cell, root
from voxnas.arch.families.stacked.record import Stacked


class Hierarchical(Stacked):
    """One stacked cell out of motifs of motifs (Liu et al. 2018, ICLR), spelled out.

    The cell has one input, source 0, and one output, its last node; each node is the sum of operations on earlier
    ones. Which motifs it was made of makes no difference to the network, so that they are not kept.
    """

    family: Literal["hierarchical"] = "hierarchical"
    cell: Cell

    inputs: ClassVar[int] = 1

    @field_validator("cell")
    @classmethod
    def _one_form(cls, cell: Cell) -> Cell:
        check_cell(cell, cls.inputs)
        # A cell through which no path leads passes its input on.
        return canonical(cell, cls.inputs, one_output=True) or (((0, "skip"),),)

    @model_validator(mode="after")
    def _shortest(self) -> Self:
        # Where only chains of the cell stand, a cell that is itself a chain is one of more, shorter cells.
        if not self.decoder or len(self.widths) == 1:
            cell, times = root(self.cell)
            object.__setattr__(self, "cells", tuple(count * times for count in self.cells))
            object.__setattr__(self, "cell", cell)
        return self
