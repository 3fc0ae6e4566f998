"""Drawing of a cell: values from left to right, and an arrow for each operation.

The layout is layered (Sugiyama et al. 1981): the column of a value is the length of its longest path from an input, and
its height is the mean height of its operands. An arrow across several columns occupies a separate position in each.
"""

from itertools import pairwise
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from voxnas.arch.families.stacked.cell import Cell
from voxnas.report.style import COLOURS, EDGE, INK

FAINT = EDGE
ROW, WIDTH = 0.5, 8.0  # inches for each row, and for all columns
LABEL = 0.42  # position of the name of an operation along its path; at 0.5 the names of crossing paths overlap

Point = tuple[float, float]


class _Edge(NamedTuple):
    source: int
    target: int
    name: str  # empty: the value itself


class Layout(NamedTuple):
    """Positions of the values and arrows of a cell, in columns and rows.

    Attributes
    ----------
    edges : list of (source, target, operation)
    values : dict of number to point
        Inputs, nodes and output of the cell.
    routes : list of lists of points
        Route of each edge from source to target.
    """

    edges: list[_Edge]
    values: dict[int, Point]
    routes: list[list[Point]]


def lay_out(cell: Cell, inputs: int) -> Layout:
    """Compute the positions of the values and arrows of a cell.

    With one input, the last node is the output. With two inputs, the output joins all nodes and all unused inputs.
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
    routes: list[list[Point]] = [[] for _ in edges]
    for place in range(max(column.values()) + 1):
        wanted: dict[tuple[str, int], float] = {}  # preferred height of each element of this column
        for value in (v for v in column if column[v] == place):
            given = [routes[i][-1][1] for i, edge in enumerate(edges) if edge.target == value]
            wanted["value", value] = sum(given) / len(given) if given else -value
        for i, edge in enumerate(edges):
            if column[edge.source] < place < column[edge.target]:
                wanted["waypoint", i] = routes[i][-1][1]
        for row, (kind, number) in enumerate(sorted(wanted, key=lambda key: (-wanted[key], key))):
            point = (
                float(place),
                ((len(wanted) - 1) / 2 - row) * (1 if place else 2),
            )  # inputs are the sources of many paths
            if kind == "waypoint":
                routes[number].append(point)
                continue
            values[number] = point
            for i, edge in enumerate(edges):
                if number in (edge.source, edge.target):
                    routes[i].append(point)
    return Layout(edges, values, routes)


def cell_height(cell: Cell, inputs: int) -> float:
    """Height of the drawing of a cell in inches."""
    rows = [y for route in lay_out(cell, inputs).routes for _, y in route]
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
    for i, (edge, route) in enumerate(zip(layout.edges, layout.routes, strict=True)):
        twins = sum(other[:2] == edge[:2] for other in layout.edges[:i])
        colour = COLOURS[operations.index(edge.name) % len(COLOURS)] if edge.name else FAINT
        gap = (0.32 if edge.target == last else 0.13) * inch
        _draw_route(axes, route, edge.name, colour, gap, bend=0.45 * twins)
    names = dict(enumerate(inputs)) | {last: "output"}
    for value, (x, y) in layout.values.items():
        box = {"boxstyle": "round,pad=0.3", "facecolor": "#d6e6f4", "edgecolor": INK, "linewidth": 0.8}
        axes.text(x, y, names.get(value, "+"), ha="center", va="center", fontsize=8, zorder=4, bbox=box)
    rows = [y for route in layout.routes for _, y in route]
    axes.set(xlim=(-0.45, columns + 0.45), ylim=(min(rows) - 1, max(rows) + 1))
    axes.set_axis_off()
    axes.set_title(title, fontsize=9)


def _draw_route(axes: Axes, route: list[Point], name: str, colour: str, gap: float, bend: float) -> None:
    """Draw a smooth arrow that ends at a gap before its target, with its name in the first column of its path."""
    ends = [*route[:-1], (route[-1][0] - gap, route[-1][1])]
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
    if len(route) > 2:
        x, y = route[1]
    else:
        share = [(1 - LABEL) ** 3, 3 * LABEL * (1 - LABEL) ** 2, 3 * LABEL**2 * (1 - LABEL), LABEL**3]
        x, y = (sum(s * point[axis] for s, point in zip(share, path, strict=True)) for axis in (0, 1))
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.6, "alpha": 0.85}
    axes.text(x, y, name.replace("_", " "), fontsize=7.5, color=colour, ha="center", va="center", bbox=box, zorder=3)
