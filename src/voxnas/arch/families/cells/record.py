"""Record of a network of stacked cells with two inputs."""

from typing import Any, ClassVar, Literal

from pydantic import Field, field_validator

from voxnas.arch.families.stacked.cell import Cell, canonical, check_cell
from voxnas.arch.families.stacked.record import Stacked


class Cells(Stacked):
    """Stacked cells with two inputs, as in DARTS (Liu et al. 2019, ICLR) and, with a decoder, NAS-UNet (Weng 2019).

    A cell is a tuple of nodes, each the sum of operations ``(source, operation)`` on earlier nodes. The sources 0 and 1
    are the outputs of the last cell but one and of the last cell; for `up` they are the outputs of the encoder stage of
    equal size and of the stage below. Cells are stored in canonical form, so that equivalent cells are equal.
    """

    family: Literal["cells"] = "cells"
    normal: Cell = Field(description="Cell that keeps the size.")
    reduction: Cell = Field((), description="First cell of each stage but the first; it has the stride.")
    up: Cell = Field((), description="Cell of each decoder stage.")

    inputs: ClassVar[int] = 2

    @classmethod
    def neutral(cls, data: dict[str, Any]) -> dict[str, Any]:
        """Return `data` without the cells that the network does not contain."""
        one = len(data.get("widths", ())) == 1
        unused = {"reduction": one, "up": one or not data.get("decoder")}
        return super().neutral({key: value for key, value in data.items() if not unused.get(key)})

    @field_validator("normal", "reduction", "up")
    @classmethod
    def _one_form(cls, cell: Cell) -> Cell:
        check_cell(cell, cls.inputs)
        return canonical(cell, cls.inputs)
