"""Record of a network of motifs of motifs."""

from typing import ClassVar, Literal, Self

from pydantic import field_validator, model_validator

from voxnas.arch.families.stacked.cell import Cell, canonical, check_cell, root
from voxnas.arch.families.stacked.record import Stacked


class Hierarchical(Stacked):
    """One stacked cell of motifs of motifs (Liu et al. 2018, ICLR), in expanded form.

    The cell has one input, source 0, and one output, its last node; each node is the sum of operations on earlier
    nodes. The motifs themselves are not stored, for they make no difference to the network.
    """

    family: Literal["hierarchical"] = "hierarchical"
    cell: Cell

    inputs: ClassVar[int] = 1

    @field_validator("cell")
    @classmethod
    def _one_form(cls, cell: Cell) -> Cell:
        check_cell(cell, cls.inputs)
        # A cell without a path from input to output is the identity.
        return canonical(cell, cls.inputs, one_output=True) or (((0, "skip"),),)

    @model_validator(mode="after")
    def _shortest(self) -> Self:
        # Without a decoder the cells form a chain: a cell that is itself a chain is equivalent to more, shorter cells.
        if not self.decoder or len(self.widths) == 1:
            cell, times = root(self.cell)
            object.__setattr__(self, "cells", tuple(count * times for count in self.cells))
            object.__setattr__(self, "cell", cell)
        return self
