"""Drawing of the winning network from its record."""

from math import log2
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from voxnas.arch.families import family_of
from voxnas.arch.views import input_size
from voxnas.benchmark.leaderboard import winning_network
from voxnas.core.architecture import Architecture
from voxnas.core.paths import StudyPaths
from voxnas.io.records import read_plan
from voxnas.io.tables import table_rows
from voxnas.report.cell_drawing import cell_height, draw_cell
from voxnas.report.style import INK, SOFT, new_figure

ENCODER, DECODER, HEAD = "#d6e6f4", "#dcefe3", "#f6e3d3"
HEIGHT, GAP = 0.62, 1.0  # height of a box, and distance between rows of boxes


def winner(paths: StudyPaths) -> tuple[Figure, pd.DataFrame]:
    """Draw the stages of the winner as boxes (width: channels), with sizes, strides, kernels and skip connections."""
    network = winning_network(paths)
    plan = read_plan(paths.plan)
    return draw_network(
        network.architecture, list(input_size(network.architecture, plan)), f"{network.name} ({network.key})"
    )


def draw_network(architecture: Architecture, patch: list[int], title: str) -> tuple[Figure, pd.DataFrame]:
    """Draw one architecture.

    Parameters
    ----------
    architecture : Architecture
    patch : list of int
        Input size (D, H, W) in voxels, or (T, D, H, W) for clips.
    title : str
        Title of the figure.

    Returns
    -------
    figure : Figure
    table : DataFrame
        One row per box: part, stage, channels, blocks, kernel, stride, size. Cells of the network are drawn below the
        boxes.
    """
    description = family_of(architecture).describe(architecture, patch)
    table, cells = pd.DataFrame(description.stages), description.cells
    heights = [0.7 + 0.82 * (table.stage.max() + 2), *(cell_height(cell, len(names)) for cell, names in cells.values())]
    figure = new_figure(8.6, sum(heights))
    axes, *others = figure.subplots(len(heights), squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for below, (name, (cell, inputs)) in zip(others, cells.items(), strict=True):
        draw_cell(below, cell, inputs, name)
    axes.set_axis_off()
    bottom = -(table.stage.max() + 1.35) * GAP
    axes.set(title=title, xlim=(-5, 5), ylim=(bottom, 0.75))
    (_unet if description.returns else _column)(axes, table)
    axes.text(0, bottom + 0.1, description.summary, ha="center", fontsize=9)
    return figure, table


def _box(axes: Axes, x: float, row: Any, colour: str) -> float:
    """Draw the box of a stage centred at x and return half of its width."""
    half = 0.62 + 0.13 * log2(max(2, row.channels))
    y = -row.stage * GAP
    axes.add_patch(
        FancyBboxPatch(
            (x - half, y - HEIGHT / 2),
            2 * half,
            HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.08",
            facecolor=colour,
            edgecolor=INK,
            linewidth=1,
        )
    )
    blocks = f"{row.blocks} x {row.kernel}" if row.kernel else f"{row.blocks} layers" if row.part != "linear" else ""
    axes.text(x, y + 0.1, f"{row.channels} ch", ha="center", va="center", weight="bold", fontsize=9.5)
    axes.text(x, y - 0.14, blocks or row.size, ha="center", va="center", fontsize=8.5)
    return half


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], style: str = "-") -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": SOFT, "linestyle": style, "lw": 1.2})


def _down(axes: Axes, x: float, row: Any) -> None:
    """Draw the arrow from the stage above, with the stride."""
    y = -row.stage * GAP
    _arrow(axes, (x, y + GAP - HEIGHT / 2), (x, y + HEIGHT / 2))
    if row.stride and row.stride != "1x1x1":
        axes.text(x + 0.1, y + GAP / 2, f"stride {row.stride}", fontsize=8, va="center")


def _unet(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the encoder on the left, the bottleneck in the middle and the decoder on the right."""
    last = table.stage.max()

    def place(stage: int) -> float:
        return 2.6 * (1 - 0.28 * stage / max(1, last))

    halves: dict[tuple[str, int], float] = {}
    for row in table_rows(table):
        bottom = row.stage == last
        x = 0.0 if bottom else -place(row.stage) if row.part == "encoder" else place(row.stage)
        halves[row.part, row.stage] = _box(axes, x, row, DECODER if row.part == "decoder" else ENCODER)
        y = -row.stage * GAP
        if row.part == "encoder":
            if bottom:
                axes.text(0, y - HEIGHT / 2 - 0.16, row.size, ha="center", va="center", fontsize=8.5, color=SOFT)
            else:
                left = x - halves[row.part, row.stage] - 0.12
                axes.text(left, y, row.size, ha="right", va="center", fontsize=8.5, color=SOFT)
            if row.stage and not bottom:
                _down(axes, x, row)
        elif row.stage < last - 1:
            _arrow(axes, (x, y - GAP + HEIGHT / 2), (x, y - HEIGHT / 2))
    for stage in range(last):
        start, end = -place(stage) + halves["encoder", stage], place(stage) - halves["decoder", stage]
        _arrow(axes, (start, -stage * GAP), (end, -stage * GAP), "--")
    axes.text(0, 0.14, "skip connections", ha="center", fontsize=8, color=SOFT)
    if last:
        above, x, half = -(last - 1) * GAP - HEIGHT / 2, place(last - 1), halves["encoder", last]
        _arrow(axes, (-x, above), (-half, -last * GAP))
        _arrow(axes, (half, -last * GAP), (x, above))
        stride = table[(table.part == "encoder") & (table.stage == last)].stride.iloc[0]
        axes.text(-x - 0.1, above - 0.3, f"stride {stride}", fontsize=8, ha="right", va="center")


def _column(axes: Axes, table: pd.DataFrame) -> None:
    """Draw the stages in one column, followed by pooling and output."""
    for row in table_rows(table):
        half = _box(axes, 0, row, HEAD if row.part == "head" else ENCODER)
        y = -row.stage * GAP
        if row.part != "linear":
            axes.text(-half - 0.12, y, row.size, ha="right", va="center", fontsize=8.5, color=SOFT)
        if row.stage:
            _down(axes, 0, row)
    y = -table.stage.max() * GAP
    if table.part.iloc[0] in ("encoder", "head"):
        _arrow(axes, (0, y - HEIGHT / 2), (0, y - HEIGHT / 2 - 0.36))
        axes.text(
            0, y - HEIGHT / 2 - 0.5, "global average pooling, linear layer", ha="center", va="center", fontsize=8.5
        )
