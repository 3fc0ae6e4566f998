"""Architectures that repeat small graphs, found by search: cells, and motifs of motifs."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from voxnas.arch.cell import Cell, canonical, check_cell, root
from voxnas.core.record import Activation, ArchitectureRecord, Norm, Positive, Triple


class _Repeated(ArchitectureRecord):
    """The skeleton around the cells: stages, each with its width, stride and number of cells.

    All triples are in tensor order (D, H, W), that is (z, y, x).
    """

    in_channels: Positive
    out_channels: Positive
    widths: tuple[Positive, ...] = Field(min_length=1, description="Channels of each node of a stage's cells.")
    cells: tuple[Positive, ...] = Field(description="Cells of each stage; a number stands for all stages.")
    strides: tuple[Triple, ...] = Field(description="Stride on entering each stage, (D, H, W).")
    kernels: tuple[Triple, ...] = Field(description="1 along axes where the operations of a stage see one voxel, or 3.")
    norm: Norm = "instance"
    activation: Activation = "leaky_relu"
    decoder: bool = Field(description="Whether there is a decoder, for segmentation; else one vector for each sample.")
    deep_supervision: bool = Field(False, description="Also score the outputs of the lower decoder stages.")
    dropout: Annotated[float, Field(ge=0, lt=1)] = Field(0.0, description="Before the linear layer without a decoder.")

    @model_validator(mode="before")
    @classmethod
    def _neutral(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        data, stages = dict(data), len(data.get("widths", ()))
        if isinstance(data.get("cells"), int):
            data["cells"] = [data["cells"]] * stages
        # As in a U-Net: all decoder outputs but the lowest are supervised.
        if not data.get("decoder") or stages <= 3:
            data.pop("deep_supervision", None)
        if data.get("decoder"):
            data.pop("dropout", None)
        return data

    @model_validator(mode="after")
    def _agrees(self) -> _Repeated:
        stages = len(self.widths)
        for name in ("cells", "strides", "kernels"):
            if len(getattr(self, name)) != stages:
                raise ValueError(f"{name} has {len(getattr(self, name))} entries for {stages} stages")
        if any(k not in (1, 3) for kernel in self.kernels for k in kernel):
            raise ValueError("kernels must be 1 or 3; an operation with another has it in its name")
        if self.decoder and self.strides[0] != (1, 1, 1):
            raise ValueError("strides must begin with 1 1 1, for the output has the input's size")
        return self


class Cells(_Repeated):
    """Stacked cells with two inputs, as in DARTS (Liu et al. 2019, ICLR) and, with a decoder, NAS-UNet (Weng 2019).

    A cell is a tuple of nodes, each the sum of operations on earlier nodes: ``(source, operation)``, where the sources
    0 and 1 are the outputs of the last cell but one and of the last; for `up` those of the encoder's stage beside it
    and of the stage below. Cells are brought into one form: equal cells are equal.
    """

    family: Literal["cells"] = "cells"
    normal: Cell = Field(description="Cell that keeps the size.")
    reduction: Cell = Field((), description="First cell of each stage but the first; takes its inputs with the stride.")
    up: Cell = Field((), description="Cell of each decoder stage.")

    inputs: ClassVar[int] = 2

    @model_validator(mode="before")
    @classmethod
    def _without_unused(cls, data: Any) -> Any:
        # A cell that stands nowhere has no effect.
        if isinstance(data, dict):
            one = len(data.get("widths", ())) == 1
            unused = {"reduction": one, "up": one or not data.get("decoder")}
            data = {key: value for key, value in data.items() if not unused.get(key)}
        return data

    @field_validator("normal", "reduction", "up")
    @classmethod
    def _one_form(cls, cell: Cell) -> Cell:
        check_cell(cell, cls.inputs)
        return canonical(cell, cls.inputs)


class Hierarchical(_Repeated):
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
    def _shortest(self) -> Hierarchical:
        # Where only chains of the cell stand, a cell that is itself a chain is one of more, shorter cells.
        if not self.decoder or len(self.widths) == 1:
            cell, times = root(self.cell)
            object.__setattr__(self, "cells", tuple(count * times for count in self.cells))
            object.__setattr__(self, "cell", cell)
        return self
