"""Record of a column."""

from typing import Literal

from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.record import Positive, Triple


class Column(ArchitectureRecord):
    """A chain of blocks of one width, for classification and regression."""

    family: Literal["column"] = "column"
    width: Positive
    blocks: tuple[str, ...]
    strides: tuple[Triple, ...]
    kernels: tuple[Triple, ...]
