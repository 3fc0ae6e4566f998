"""Spaces of stacked cells: the skeleton in which the searched cell is repeated."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

from voxnas.arch.families.skeleton import SKELETON, Skeleton, skeleton_fields, skeleton_values
from voxnas.arch.families.space import ALWAYS, Alternatives, FamilySpace, Structure
from voxnas.arch.families.stacked.cell import ZERO, parse_operation
from voxnas.arch.families.stacked.record import Stacked
from voxnas.arch.parameters import ValueSet, integers, numbers
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.plan import Plan

PREFERRED = ("plain", "residual", "separable", "inverted")  # where a search begins


class StackedSpace(FamilySpace):
    """Stages of one cell, which a subclass defines; with :class:`DecoderSpace` the network has a decoder."""

    tasks: ClassVar[tuple[str, ...]] = ("classification", "regression")
    decoder = False

    def skeleton(self) -> dict[str, ValueSet]:
        """Targets of the skeleton."""
        ends: dict[str, ValueSet] = (
            {"deep_supervision": (False, True)} if self.decoder else {"dropout": numbers(0, 0.9)}
        )
        return ends | SKELETON | {"cells": integers(1, 8)}

    def required(self, structure: Structure, given: Collection[str]) -> Mapping[str, Alternatives]:
        """The whole skeleton."""
        return dict.fromkeys(self.skeleton(), ALWAYS)

    def fields(self, values: Mapping[str, Any], plan: Plan) -> dict[str, Any]:
        """The skeleton's part of a record, without stages that the plan's patch does not allow."""
        ends = {name: values[name] for name in ("deep_supervision", "dropout") if name in values}
        return {**skeleton_fields(values, plan), "cells": values["cells"], "decoder": self.decoder, **ends}

    def nearby(self, architecture: ArchitectureRecord, share: float) -> dict[str, Any]:
        """The skeleton's values near an architecture.

        Parameters
        ----------
        architecture : ArchitectureRecord
        share : float
            Width of a node as a share of a macro network's, for a cell has several nodes.
        """
        if not isinstance(architecture, Skeleton):
            return {}
        wanted = architecture.plain() | skeleton_values(architecture)
        if isinstance(architecture, Stacked):
            wanted["cells"] = architecture.cells[0]
        else:
            wanted |= {"cells": 1, "base_width": share * architecture.widths[0]}
        return {name: value for name, value in wanted.items() if name in self.skeleton()}


class DecoderSpace(StackedSpace):
    """Stages of one cell with a decoder, for segmentation."""

    tasks = ("segmentation",)
    decoder = True


def read_operations(structure: Structure) -> tuple[str, ...]:
    """The key ``operations`` of a file: names of primitives, some with a kernel, as ``separable_5``."""
    names = structure.get("operations")
    if not isinstance(names, Sequence) or isinstance(names, str) or not names:
        raise ValueError(f"operations = {names!r}; give a list, such as [plain, separable_5, window_max, skip, zero]")
    for name in names:
        parse_operation(str(name))
    if len(set(names)) < len(names) or set(names) == {ZERO}:
        raise ValueError(f"operations = {list(names)}; give each once, and one besides {ZERO}")
    return tuple(names)


def read_count(structure: Structure, key: str, part: str, low: int, high: int) -> int:
    """Read the number `part` under the structural `key`, such as ``cell: {nodes: 3}``, from `low` to `high`."""
    group = structure.get(key)
    if not isinstance(group, Mapping) or part not in group:
        raise ValueError(f"{key} = {group!r}; write {key}: {{{part}: {low + 1}}}")
    value = group[part]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{key}.{part} = {value!r}; allowed: {low} to {high}")
    return value


def only_keys(structure: Structure, key: str, parts: Collection[str]) -> None:
    """Refuse parts of a structural key that nothing reads."""
    for part in structure.get(key, {}):
        if part not in parts:
            raise ValueError(f"{key}: unknown key {part!r}; allowed: {', '.join(parts)}")


def first_choice(operations: Sequence[str]) -> str:
    """The operation with which a search begins."""
    return next((op for op in (*PREFERRED, *operations) if op in operations and op != ZERO), operations[0])
