"""Supernets of stacked cells: every edge has all operations, weighted by alphas (DARTS, Liu et al. 2019, ICLR).

The skeleton is that of :mod:`voxnas.arch.families.cells`. Each node sums all operations on all earlier values; cells of
one type share their alphas. A gradient search trains a supernet and leaves a network of cells.
"""

from collections.abc import Mapping, Sequence

from voxnas.arch.families.base import Family, expand, register
from voxnas.arch.families.description import Description
from voxnas.arch.families.graph import GraphNetwork
from voxnas.arch.families.stacked.cell import ZERO
from voxnas.arch.families.stacked.describe import describe_stacked
from voxnas.arch.families.stacked.graph import Stack
from voxnas.arch.families.supernet.record import MixedCells
from voxnas.arch.graph import Graph, GraphBuilder
from voxnas.arch.layers import Size
from voxnas.arch.primitives.base import Value

Kept = Mapping[str, Sequence[tuple[int, str]]]
"""Edge and operation of each kept input of each node, by the label of its alphas, such as ``normal.0``."""


@register
class SupernetFamily(Family[MixedCells]):
    """Supernets, which a gradient search trains."""

    record = MixedCells

    def graph(self, architecture: MixedCells) -> Graph:
        """Expand a supernet; ``node.<k>.edge.<i>.<operation>`` are the operations of node `k` on the value `i`."""
        stack, owners = Stack(architecture), dict[str, str]()
        graph, partial = stack.graph, architecture.partial
        working = [op for op in architecture.operations if op != ZERO]

        def mix(ends: list[str], edges: int, label: str, bypass: bool = False) -> str:
            options: dict[str, Value] = {
                "edges": edges,
                "label": label,
                "alphas": owners.get(label, ""),
                "bypass": bypass,
            }
            node = graph.add(
                "mix", tuple(ends), options={**options, "zero": ZERO in architecture.operations and not bypass}
            )
            owners.setdefault(label, node)
            return node

        def join(kind: str, given: tuple[str, str], stage: int, stride: Size) -> str:
            values, width = list(given), architecture.widths[stage]
            for number in range(architecture.nodes):
                ends, around, label = [], [], f"{kind}.{number}"
                with graph.scope(f"node.{number}"):
                    for i, value in enumerate(values):
                        own = stride if i < len(given) else None
                        with graph.scope(f"edge.{i}"):
                            if partial > 1:
                                rest = graph.add(
                                    "channel_slice",
                                    value,
                                    width - width // partial,
                                    name="rest",
                                    options={"start": width // partial},
                                )
                                around.append(graph.add("max_pool", rest, stride=own) if own and max(own) > 1 else rest)
                                value = graph.add("channel_slice", value, width // partial, name="part")
                            ends += [stack.operate(op, value, stage, own, op, partial) for op in working]
                    node = mix(ends, len(values), label)
                    if partial > 1:
                        node = graph.add("concat", (node, mix(around, len(values), label, bypass=True)))
                        node = graph.add("channel_shuffle", node, options={"groups": partial})
                values.append(node)
            nodes = values[len(given) :]
            return nodes[0] if len(nodes) == 1 else graph.add("concat", tuple(nodes))

        return stack.grow(join)

    def describe(self, architecture: MixedCells, size: Sequence[int]) -> Description:
        """Describe the stages on an input of `size` (D, H, W)."""
        return describe_stacked(architecture, size, {})


def discrete_graph(supernet: MixedCells, kept: Kept) -> GraphNetwork:
    """The network of the kept operations of a supernet, whose nodes have the identities of the supernet's nodes.

    Hence it takes its weights from the supernet by name. The kept operations of a node are added with equal weights.

    Parameters
    ----------
    supernet : MixedCells
        With ``partial`` 1.
    kept : mapping of str to sequence of (edge, operation)
        Two kept operations of each node.
    """
    graph, working = expand(supernet), [op for op in supernet.operations if op != ZERO]
    inputs = {node.id: node.inputs for node in graph.nodes}
    for node in graph.nodes:
        if node.op == "mix":
            chosen = kept[str(node.option("label"))]
            inputs[node.id] = tuple(node.inputs[edge * len(working) + working.index(op)] for edge, op in chosen)
    first, *nodes = graph.nodes
    builder, needed = GraphBuilder(first.channels, graph.dims, first.norm, first.activation), graph.needed(True, inputs)
    for node in (node for node in nodes if node.id in needed):
        form = node.channels, node.kernel, node.stride, node.norm, node.activation
        op, options = ("add", {}) if node.op == "mix" else (node.op, dict(node.options))
        builder.add(op, inputs[node.id], *form, options, name=node.id)
    built = builder.finish(*graph.outputs, divisor=graph.divisor)
    return GraphNetwork(
        in_channels=supernet.in_channels, out_channels=supernet.out_channels, view=supernet.view, graph=built
    )
