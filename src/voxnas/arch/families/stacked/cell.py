"""A cell as data: a small directed graph of operations, with one canonical form for all equivalent descriptions.

A cell is a tuple of nodes, each a tuple of edges ``(source, operation)``. Sources below `inputs` are the cell's
inputs, the others are earlier nodes: with two inputs, ``(((1, "plain"), (0, "skip")), ((2, "plain"),))`` has a first
node that sums a convolution of the second input and the first input itself, and a second node behind it.
"""

import functools
import itertools
from collections.abc import Iterator, Sequence

from voxnas.arch.primitives.base import PRIMITIVES, blocks

Edge = tuple[int, str]
Cell = tuple[tuple[Edge, ...], ...]

USUAL_KERNEL, KERNELS = 3, (1, 5, 7)
ZERO = "zero"  # cuts an edge


@functools.lru_cache
def parse_operation(name: str) -> tuple[str, int]:
    """Primitive and kernel of an operation: ``separable`` has a kernel of 3, ``separable_5`` one of 5.

    Raises
    ------
    ValueError
        If the operation is unknown.
    """
    op, _, kernel = name.rpartition("_")
    if kernel not in map(str, KERNELS):
        op, kernel = name, str(USUAL_KERNEL)
    known = (*blocks(), *(pool for pool in PRIMITIVES if PRIMITIVES[pool].window))
    if op not in known:
        raise ValueError(f"operation {name!r}: {op!r} is not one of {', '.join(known)}")
    if op != name and (not PRIMITIVES[op].sized or (PRIMITIVES[op].window and kernel == "1")):
        raise ValueError(f"operation {name!r}: {op} has no kernel of {kernel}")
    return op, int(kernel)


def canonical(cell: Sequence[Sequence[Edge]], inputs: int, one_output: bool = False) -> Cell:
    """Return the canonical form of all equivalent cells: without parts that have no effect, and with ordered nodes.

    Edges of ``zero`` are taken out, nodes into which nothing comes, and, with one output, nodes from which
    no path leads there. Nodes are told apart by their neighbours (colour refinement, Weisfeiler and Leman
    1968); where that leaves several orders, the smallest is taken.

    Parameters
    ----------
    cell : sequence of sequences of (source, operation)
    inputs : int
    one_output : bool
        Whether the last node is the only output of the cell; otherwise all nodes are outputs.

    Returns
    -------
    Cell
        Empty if nothing is left.
    """
    edges = _effective(cell, inputs, one_output)
    if not edges:
        return ()
    depth = dict.fromkeys(range(inputs), 0)
    for node, given in edges.items():
        depth[node] = 1 + max(depth[source] for source, _ in given)
    last = inputs + len(cell) - 1
    colours = {node: (depth[node], one_output and node == last) for node in edges}
    return min(_write(order, edges, inputs) for order in _orders(_ranked(colours), edges, inputs))


def _effective(cell: Sequence[Sequence[Edge]], inputs: int, one_output: bool) -> dict[int, list[Edge]]:
    """Each node that has an effect with its edges, in the order of the cell."""
    edges: dict[int, list[Edge]] = {}
    for node, given in enumerate(cell, start=inputs):
        kept = [(source, op) for source, op in given if op != ZERO and (source < inputs or source in edges)]
        if kept:
            edges[node] = kept
    if one_output:
        needed = {inputs + len(cell) - 1}
        for node in reversed(edges):
            if node in needed:
                needed.update(source for source, _ in edges[node])
        edges = {node: given for node, given in edges.items() if node in needed}
    return edges


def _ranked(keys: dict[int, tuple]) -> dict[int, int]:
    """Each node with the place of its key among all keys."""
    places = {key: place for place, key in enumerate(sorted(set(keys.values())))}
    return {node: places[key] for node, key in keys.items()}


def _orders(colours: dict[int, int], edges: dict[int, list[Edge]], inputs: int) -> Iterator[list[int]]:
    """Orders of the nodes that their neighbours leave open; earlier nodes come first, for colours begin with depth."""
    users: dict[int, list[Edge]] = {node: [] for node in edges}
    for node, given in edges.items():
        for source, op in given:
            if source >= inputs:
                users[source].append((node, op))
    count = 0
    while len(set(colours.values())) > count:
        count = len(set(colours.values()))
        colours = _ranked(
            {
                node: (
                    colours[node],
                    tuple(sorted((op, s if s < inputs else inputs + colours[s]) for s, op in edges[node])),
                    tuple(sorted((op, colours[user]) for user, op in users[node])),
                )
                for node in edges
            }
        )
    tied = [node for node in edges if sum(colour == colours[node] for colour in colours.values()) > 1]
    if not tied:
        yield sorted(edges, key=colours.__getitem__)
        return
    lowest = min(colours[node] for node in tied)
    # The order of nodes with identical neighbours has no effect.
    twins = {(tuple(sorted(edges[node])), tuple(sorted(users[node]))): node for node in tied if colours[node] == lowest}
    for first in twins.values():
        yield from _orders({node: 2 * colour + (node != first) for node, colour in colours.items()}, edges, inputs)


def _write(order: list[int], edges: dict[int, list[Edge]], inputs: int) -> Cell:
    place = {node: inputs + i for i, node in enumerate(order)} | {i: i for i in range(inputs)}
    return tuple(tuple(sorted((place[source], op) for source, op in edges[node])) for node in order)


def root(cell: Cell) -> tuple[Cell, int]:
    """The shortest cell of one input and one output of which a cell is a chain, and how long the chain is.

    Parameters
    ----------
    cell : Cell
        In its one form.
    """
    cuts = [0]
    for node in range(1, len(cell) + 1):
        if all(source >= node for edges in cell[node:] for source, _ in edges):
            cuts.append(node)
    links = [
        canonical([[(source - start, op) for source, op in edges] for edges in cell[start:end]], 1, one_output=True)
        for start, end in itertools.pairwise(cuts)
    ]
    period = next(n for n in range(1, len(links) + 1) if links == links[:n] * (len(links) // n))
    return canonical(cell[: cuts[period]], 1, one_output=True), len(links) // period


def check_cell(cell: Cell, inputs: int) -> None:
    """Refuse an invalid cell of this number of `inputs`, with a ValueError that gives the reason."""
    for node, given in enumerate(cell, start=inputs):
        for source, op in given:
            parse_operation(op)
            if not 0 <= source < node:
                raise ValueError(f"node {node} of a cell has the source {source}; allowed: 0 to {node - 1}")


def flatten(motifs: Sequence[Sequence[tuple[int, int, str]]], cell: Sequence[tuple[int, int, int]], nodes: int) -> Cell:
    """Expand motifs of motifs to one cell (Liu et al. 2018, ICLR, section 2.2).

    Parameters
    ----------
    motifs : sequence of sequences of (source, target, operation)
        Directed graphs from node 0 to the last node that any edge of any of them names.
    cell : sequence of (source, target, number of a motif)
        The graph from node 0 to node ``nodes - 1`` whose edges are motifs.
    nodes : int

    Returns
    -------
    Cell
        With one input, whose last node is the output.
    """
    end = max((target for motif in motifs for _, target, _ in motif), default=1)
    edges: dict[tuple, list[tuple[tuple, str]]] = {(node, 0, 0, 0): [] for node in range(nodes)}
    for source, target, number in cell:
        # The nodes within a motif come between its ends in the order of these names.
        names = [(source, 1, target, inner) for inner in range(end + 1)]
        names[0], names[end] = (source, 0, 0, 0), (target, 0, 0, 0)
        for a, b, op in motifs[number]:
            edges.setdefault(names[b], []).append((names[a], op))
            edges.setdefault(names[a], [])
    order = {name: place for place, name in enumerate(sorted(edges))}
    return tuple(tuple((order[source], op) for source, op in edges[name]) for name in sorted(edges)[1:])
