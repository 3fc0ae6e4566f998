"""A cell as a picture: values from left to right, an arrow for each operation.

Laid out in columns (Sugiyama et al. 1981): a value stands in the column of its longest way from an input, at the mean
height of what it is made of; an arrow over several columns has a place of its own in each of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from voxnas.arch.families.stacked.cell import Cell
from voxnas.report.style import COLOURS, INK

FAINT = "#9aa5b1"
ROW, WIDTH = 0.5, 8.0  # inches for each row, and for all columns
LABEL = 0.42  # where on its way the name of an operation stands: in the middle, names of crossing ways meet

Point = tuple[float, float]


class _Edge(NamedTuple):
    source: int
    target: int
    name: str  # empty: the value itself


class Layout(NamedTuple):
    """Where everything of a cell stands, in columns and rows.

    Attributes
    ----------
    edges : list of (source, target, operation)
    values : dict of number to point
        The cell's inputs, its nodes, and the output.
    ways : list of lists of points
        From end to end, of each edge.
    """

    edges: list[_Edge]
    values: dict[int, Point]
    ways: list[list[Point]]


def lay_out(cell: Cell, inputs: int) -> Layout:
    """Find a place for everything of a cell.

    With one input the last node is the output. With two all nodes are joined, and inputs that no node takes.
    """
    edges = [_Edge(source, node, op) for node, given in enumerate(cell, start=inputs) for source, op in given]
    count = inputs + len(cell)
    if inputs > 1:
        taken = {edge.source for edge in edges}
        edges += [_Edge(value, count, "") for value in range(count) if value >= inputs or value not in taken]
        count += 1
    column = dict.fromkeys(range(inputs), 0)
    for value in range(inputs, count):
        column[value] = 1 + max(column[edge.source] for edge in edges if edge.target == value)
    values: dict[int, Point] = {}
    ways: list[list[Point]] = [[] for _ in edges]
    for place in range(max(column.values()) + 1):
        wanted: dict[tuple[str, int], float] = {}  # the height at which each thing of this column would stand
        for value in (v for v in column if column[v] == place):
            given = [ways[i][-1][1] for i, edge in enumerate(edges) if edge.target == value]
            wanted["value", value] = sum(given) / len(given) if given else -value
        for i, edge in enumerate(edges):
            if column[edge.source] < place < column[edge.target]:
                wanted["way", i] = ways[i][-1][1]
        for row, (kind, number) in enumerate(sorted(wanted, key=lambda key: (-wanted[key], key))):
            point = (float(place), ((len(wanted) - 1) / 2 - row) * (1 if place else 2))  # many ways leave the inputs
            if kind == "way":
                ways[number].append(point)
                continue
            values[number] = point
            for i, edge in enumerate(edges):
                if number in (edge.source, edge.target):
                    ways[i].append(point)
    return Layout(edges, values, ways)


def cell_height(cell: Cell, inputs: int) -> float:
    """Height of a cell's picture in inches."""
    rows = [y for way in lay_out(cell, inputs).ways for _, y in way]
    return 0.6 + ROW * (2 + max(rows) - min(rows))


def draw_cell(axes: Axes, cell: Cell, inputs: tuple[str, ...], title: str) -> None:
    """Draw one cell.

    Parameters
    ----------
    axes : Axes
    cell : Cell
    inputs : tuple of str
        Names of the inputs.
    title : str
    """
    layout = lay_out(cell, len(inputs))
    last = max(layout.values)
    columns = layout.values[last][0]
    inch = (columns + 0.9) / WIDTH
    operations = sorted({edge.name for edge in layout.edges})
    for i, (edge, way) in enumerate(zip(layout.edges, layout.ways, strict=True)):
        twins = sum(other[:2] == edge[:2] for other in layout.edges[:i])
        colour = COLOURS[operations.index(edge.name) % len(COLOURS)] if edge.name else FAINT
        gap = (0.32 if edge.target == last else 0.13) * inch
        _draw_way(axes, way, edge.name, colour, gap, bend=0.45 * twins)
    names = dict(enumerate(inputs)) | {last: "output"}
    for value, (x, y) in layout.values.items():
        box = {"boxstyle": "round,pad=0.3", "facecolor": "#d6e6f4", "edgecolor": INK, "linewidth": 0.8}
        axes.text(x, y, names.get(value, "+"), ha="center", va="center", fontsize=8, zorder=4, bbox=box)
    rows = [y for way in layout.ways for _, y in way]
    axes.set(xlim=(-0.45, columns + 0.45), ylim=(min(rows) - 1, max(rows) + 1))
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)


def _draw_way(axes: Axes, way: list[Point], name: str, colour: str, gap: float, bend: float) -> None:
    """A smooth arrow that ends a gap before its target; its name stands in the first column on its way."""
    ends = [*way[:-1], (way[-1][0] - gap, way[-1][1])]
    path, codes = [ends[0]], [Path.MOVETO]
    for (x, y), (right, up) in pairwise(ends):
        middle = (x + right) / 2
        path += [(middle, y + bend), (middle, up + bend), (right, up)]
        codes += [Path.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Path(path, codes),
            arrowstyle="-|>",
            mutation_scale=8,
            facecolor=colour,
            edgecolor=colour,
            linestyle="-" if name else ":",
            linewidth=1.2,
        )
    )
    if not name:
        return
    if len(way) > 2:
        x, y = way[1]
    else:
        share = [(1 - LABEL) ** 3, 3 * LABEL * (1 - LABEL) ** 2, 3 * LABEL**2 * (1 - LABEL), LABEL**3]
        x, y = (sum(s * point[axis] for s, point in zip(share, path, strict=True)) for axis in (0, 1))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    axes.text(x, y, name.replace("_", " "), fontsize=7.5, color=colour, ha="center", va="center", bbox=box, zorder=3)
