"""Supernets of stacked cells: every edge has all operations, weighted by alphas (DARTS, Liu et al. 2019, ICLR).

The skeleton is that of :mod:`voxnas.arch.families.cells`. Each node sums all operations on all earlier values; cells of
one type share their alphas. A gradient search trains a supernet and leaves a network of cells.
"""

from collections.abc import Sequence

from voxnas.arch.families.base import Family, register
from voxnas.arch.families.description import Description
from voxnas.arch.families.stacked.cell import ZERO
from voxnas.arch.families.stacked.describe import describe_stacked
from voxnas.arch.families.stacked.graph import Stack
from voxnas.arch.families.supernet.record import MixedCells
from voxnas.arch.graph import Graph
from voxnas.arch.layers import Size


@register
class SupernetFamily(Family[MixedCells]):
    """Supernets, which a gradient search trains."""

    record = MixedCells

    def graph(self, architecture: MixedCells) -> Graph:
        """Expand a supernet; ``node.<k>.edge.<i>.<operation>`` are the operations of node `k` on the value `i`."""
        stack, owners = Stack(architecture), dict[str, str]()
        working = [op for op in architecture.operations if op != ZERO]

        def join(kind: str, given: tuple[str, str], stage: int, stride: Size) -> str:
            values = list(given)
            for number in range(architecture.nodes):
                ends = []
                with stack.graph.scope(f"node.{number}"):
                    for i, value in enumerate(values):
                        with stack.graph.scope(f"edge.{i}"):
                            ends += [
                                stack.operate(op, value, stage, stride if i < len(given) else None, name=op)
                                for op in working
                            ]
                    mix = stack.graph.add(
                        "mix",
                        tuple(ends),
                        options={
                            "edges": len(values),
                            "zero": ZERO in architecture.operations,
                            "alphas": owners.get(f"{kind}.{number}", ""),
                            "label": f"{kind}.{number}",
                        },
                    )
                owners.setdefault(f"{kind}.{number}", mix)
                values.append(mix)
            nodes = values[len(given) :]
            return nodes[0] if len(nodes) == 1 else stack.graph.add("concat", tuple(nodes))

        return stack.grow(join)

    def describe(self, architecture: MixedCells, size: Sequence[int]) -> Description:
        """Describe the stages on an input of `size` (D, H, W)."""
        return describe_stacked(architecture, size, {})
