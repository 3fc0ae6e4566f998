"""Spaces of cells (DARTS, Liu et al. 2019, ICLR; NAS-Bench-201, Dong & Yang 2020, ICLR; NAS-UNet, Weng et al. 2019).

A cell is a graph of a few nodes. Each takes two earlier values, each through an operation; the output is the
concatenation of the nodes. A file gives the number of nodes and the operations:

    cell: {nodes: 3, operations: [plain, separable_5, window_max, skip, zero]}

and so has, for each kind of cell and node, the parameters ``normal.0.a.op`` and ``normal.0.a.from``, and the
same for the second operand, ``b``.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from voxnas.arch.families.cells.record import Cells
from voxnas.arch.families.space import ALWAYS, Alternatives, Structure
from voxnas.arch.families.stacked.cell import ZERO
from voxnas.arch.families.stacked.space import (
    DecoderSpace,
    StackedSpace,
    first_choice,
    only_keys,
    read_count,
    read_operations,
)
from voxnas.arch.parameters import ValueSet
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan

OPERANDS = ("a", "b")
INPUTS = ("before", "last")  # the last cell but one and the last; for `up` the encoder's stage and the stage below
MOST_NODES = 6


class _CellsSpace(StackedSpace):
    keys = ("cell",)
    kinds: tuple[str, ...] = ("normal", "reduction")

    def _cell(self, structure: Structure) -> tuple[int, tuple[str, ...]]:
        nodes = read_count(structure, "cell", "nodes", 1, MOST_NODES)
        only_keys(structure, "cell", ("nodes", "operations"))
        return nodes, read_operations(structure["cell"])

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Targets of the skeleton, and the operation and the source of each edge."""
        nodes, operations = self._cell(structure)
        found = self.skeleton()
        for edge, node in self._edges(nodes):
            found |= {f"{edge}.op": operations, f"{edge}.from": edge_sources(node)}
        return found

    def _edges(self, nodes: int) -> Iterator[tuple[str, int]]:
        """Name of each edge, and the node that it leads to."""
        for kind in self.kinds:
            for node in range(nodes):
                for operand in OPERANDS:
                    yield f"{kind}.{node}.{operand}", node

    def entries(self, structure: Structure) -> Mapping[str, Any]:
        """All edges with all operations and sources; an edge of ``zero`` has no source."""
        nodes, operations = self._cell(structure)
        working = [op for op in operations if op != ZERO]
        found: dict[str, Any] = {}
        for edge, node in self._edges(nodes):
            found[f"{edge}.op"] = {"choices": operations}
            found[f"{edge}.from"] = {"choices": edge_sources(node)} | (
                {"when": {f"{edge}.op": working}} if ZERO in operations else {}
            )
        return found

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """The skeleton, the operations, and the sources of those that are not ``zero``."""
        nodes, operations = self._cell(structure)
        working = tuple(op for op in operations if op != ZERO)
        needs = dict(super().required(structure, given))
        for edge, _ in self._edges(nodes):
            needs |= {f"{edge}.op": ALWAYS, f"{edge}.from": ({f"{edge}.op": working},)}
        return needs

    def growth(self, structure: Structure) -> tuple[Mapping[str, Any], ...]:
        """Every node but the first, each without operations."""
        nodes, _ = self._cell(structure)
        edges = list(self._edges(nodes))
        return tuple({f"{edge}.op": ZERO for edge, node in edges if node == k} for k in range(1, nodes))

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> Cells:
        """Return the record, which stores the cells in canonical form."""
        nodes, _ = self._cell(structure)

        def cell(kind: str) -> list[list[tuple[int, str]]]:
            edges = [[f"{kind}.{node}.{operand}" for operand in OPERANDS] for node in range(nodes)]
            return [
                [
                    (edge_sources(node).index(values[f"{edge}.from"]), values[f"{edge}.op"])
                    for edge in pair
                    if values[f"{edge}.op"] != ZERO
                ]
                for node, pair in enumerate(edges)
            ]

        return Cells(**self.fields(values, plan), **{kind: cell(kind) for kind in self.kinds})

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """The edges of cells; near any other network a chain of convolutions, as its stages have."""
        nodes, operations = self._cell(structure)
        wanted = self.nearby(architecture, share=2 / nodes)
        alike = isinstance(architecture, Cells)
        first, idle = first_choice(operations), next((op for op in (ZERO, "skip") if op in operations), operations[0])
        for edge, node in self._edges(nodes):
            kind, _, operand = edge.split(".")
            given: tuple[tuple[int, str], ...] = ((node + 1, first), (0, idle))
            if kind == "up" and node == 0:
                given = ((1, first), (0, first))  # the decoder joins both of its inputs
            if alike:
                cell = getattr(architecture, kind)
                given = (*(cell[node] if node < len(cell) else ()), (0, ZERO), (0, ZERO))
            source, op = given[OPERANDS.index(operand)]
            if op != ZERO:
                wanted[f"{edge}.from"] = edge_sources(node)[source]
            wanted[f"{edge}.op"] = op
        return wanted


class CellsCNNSpace(_CellsSpace):
    """Stacked cells for classification and regression."""

    name = "cells-cnn"


class CellsUNetSpace(_CellsSpace, DecoderSpace):
    """Stacked cells with a decoder, for segmentation."""

    name = "cells-unet"
    kinds = ("normal", "reduction", "up")


def edge_sources(node: int) -> tuple[str, ...]:
    """Sources of a node: the inputs of the cell and the earlier nodes."""
    return (*INPUTS, *(f"node{i}" for i in range(node)))
