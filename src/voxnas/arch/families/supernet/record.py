"""Record of a supernet of stacked cells."""

from typing import Literal

from pydantic import Field, field_validator

from voxnas.arch.families.stacked.cell import parse_operation
from voxnas.arch.families.stacked.record import Stacked
from voxnas.core.record import Positive


class MixedCells(Stacked):
    """Stacked cells in which each node sums all operations on all earlier values."""

    family: Literal["supernet"] = "supernet"
    nodes: Positive = Field(description="Nodes of each cell.")
    operations: tuple[str, ...] = Field(min_length=2, description="Operations of each edge, in declared order.")

    @field_validator("operations")
    @classmethod
    def _known(cls, operations: tuple[str, ...]) -> tuple[str, ...]:
        for name in operations:
            parse_operation(name)
        if len(set(operations)) < len(operations):
            raise ValueError(f"operations = {list(operations)} has an operation twice")
        return operations
