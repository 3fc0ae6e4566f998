"""Spaces of motifs of motifs in three levels (Liu et al. 2018, ICLR, Hierarchical representations).

The first level are operations, the second motifs, small graphs whose edges are operations, the third a cell, a graph
whose edges are motifs. A file gives their sizes and the operations:

    motifs: {count: 4, nodes: 3}
    cell: {nodes: 4}
    operations: [plain, separable, window_max, skip, zero]

and so has the parameters ``motif0.0-1``, the operation from node 0 to node 1 of a motif (``zero``: no edge), and
``cell.0-1``, a motif or ``none``. A motif or cell leads from its first node to its last.
"""

import itertools
from collections.abc import Collection, Mapping
from typing import Any

from voxnas.arch.families.hierarchical.record import Hierarchical
from voxnas.arch.families.space import Structure
from voxnas.arch.families.stacked.cell import ZERO, flatten
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

NONE = "none"


class _HierarchicalSpace(StackedSpace):
    keys = ("motifs", "cell", "operations")

    def _edges(self, structure: Structure) -> dict[str, ValueSet]:
        """Each edge of motifs and cell with its allowed values."""
        motifs = read_count(structure, "motifs", "count", 1, 8)
        inner = read_count(structure, "motifs", "nodes", 2, 5)
        nodes = read_count(structure, "cell", "nodes", 2, 5)
        only_keys(structure, "motifs", ("count", "nodes"))
        only_keys(structure, "cell", ("nodes",))
        operations = read_operations(structure)
        if ZERO not in operations:
            operations = (*operations, ZERO)  # an edge may always be left out
        found: dict[str, ValueSet] = {}
        for motif in range(motifs):
            found |= {f"motif{motif}.{i}-{j}": operations for i, j in _pairs(inner)}
        choices = (*(f"motif{motif}" for motif in range(motifs)), NONE)
        return found | {f"cell.{i}-{j}": choices for i, j in _pairs(nodes)}

    def domains(self, structure: Structure) -> Mapping[str, ValueSet]:
        """Targets of the skeleton, and all edges."""
        return {**self.skeleton(), **self._edges(structure)}

    def entries(self, structure: Structure) -> Mapping[str, Any]:
        """All edges with all their allowed values."""
        return {edge: {"choices": domain} for edge, domain in self._edges(structure).items()}

    def required(self, structure: Structure, given: Any) -> Mapping[str, Any]:
        """The skeleton and all edges."""
        return {**super().required(structure, given), **dict.fromkeys(self._edges(structure), ({},))}

    def levels(self, structure: Structure) -> tuple[Collection[str], ...]:
        """The edges of the motifs, and those of the cell."""
        edges = self._edges(structure)
        cell = {edge for edge in edges if edge.startswith("cell.")}
        return edges.keys() - cell, cell

    def growth(self, structure: Structure) -> tuple[Mapping[str, Any], ...]:
        """The inner nodes of the cell but the first, each without edges."""
        nodes = structure["cell"]["nodes"]
        return tuple({f"cell.{i}-{j}": NONE for i, j in _pairs(nodes) if k in (i, j)} for k in range(2, nodes - 1))

    def decode(self, structure: Structure, values: Mapping[str, Any], plan: Plan) -> Hierarchical:
        """Return the record, whose cell is expanded and stored in canonical form."""
        inner, nodes = structure["motifs"]["nodes"], structure["cell"]["nodes"]
        motifs = [
            [(i, j, values[f"motif{motif}.{i}-{j}"]) for i, j in _pairs(inner)]
            for motif in range(structure["motifs"]["count"])
        ]
        chosen = [(i, j, values[f"cell.{i}-{j}"]) for i, j in _pairs(nodes)]
        cell = [(i, j, int(name.removeprefix("motif"))) for i, j, name in chosen if name != NONE]
        return Hierarchical(**self.fields(values, plan), cell=flatten(motifs, cell, nodes))

    def values(self, structure: Structure, architecture: ArchitectureRecord) -> Mapping[str, Any]:
        """A chain of two convolutions, as a stage of most networks has: the way back from a cell is not unique."""
        edges = self._edges(structure)
        first = first_choice(structure["operations"])
        inner, nodes = structure["motifs"]["nodes"], structure["cell"]["nodes"]
        wanted = {edge: NONE if edge.startswith("cell") else ZERO for edge in edges}
        wanted |= {f"motif{motif}.0-{inner - 1}": first for motif in range(structure["motifs"]["count"])}
        wanted |= {"cell.0-1": "motif0", f"cell.1-{nodes - 1}": "motif0"}
        return {**self.nearby(architecture, share=1.0), **{k: v for k, v in wanted.items() if k in edges}}


class HierarchicalCNNSpace(_HierarchicalSpace):
    """Stacked motifs of motifs for classification and regression."""

    name = "hierarchical-cnn"


class HierarchicalUNetSpace(_HierarchicalSpace, DecoderSpace):
    """Stacked motifs of motifs with a decoder, for segmentation."""

    name = "hierarchical-unet"


def _pairs(nodes: int) -> list[tuple[int, int]]:
    """All edges of a directed graph from earlier to later nodes."""
    return list(itertools.combinations(range(nodes), 2))
