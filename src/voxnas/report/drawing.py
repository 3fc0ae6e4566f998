"""A drawing of the winning network, made from its record."""

from __future__ import annotations

from collections.abc import Sequence
from math import log2, prod
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from voxnas.arch.architecture import CNN, Architecture, Cells, Hierarchical, Linear, UNet
from voxnas.arch.graph import infer_shapes
from voxnas.arch.layers import WEIGHTED
from voxnas.arch.networks import expand
from voxnas.arch.views import input_size
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import read_leaderboard
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Network
from voxnas.io.records import read_json
from voxnas.report.cell_drawing import cell_height, cells_of, draw_cell
from voxnas.report.style import INK, new_figure

ENCODER, DECODER, HEAD = "#d6e6f4", "#dcefe3", "#f6e3d3"
HEIGHT, GAP = 0.62, 1.0  # of a box, and between the lines of boxes


def winning_network(paths: StudyPaths) -> Network:
    """Record of the leaderboard's winner."""
    board = read_leaderboard(paths)
    name = board.name[board.winner].iloc[0]
    return next(n for n in results.networks(paths) if n.name == name)


def winner(paths: StudyPaths) -> tuple[Figure, pd.DataFrame]:
    """Stages as boxes (as wide as they have channels), with sizes, strides, kernels and skip connections."""
    network = winning_network(paths)
    plan = read_json(paths.plan)
    return draw_network(
        network.architecture, list(input_size(network.architecture, plan)), f"{network.name} ({network.key})"
    )


def draw_network(architecture: Architecture, patch: list[int], title: str) -> tuple[Figure, pd.DataFrame]:
    """Draw one architecture.

    Parameters
    ----------
    architecture : Architecture
    patch : list of int
        Input size (D, H, W) in voxels, of a clip (T, D, H, W).
    title : str
        Shown above.

    Returns
    -------
    figure : Figure
    table : DataFrame
        One row a drawn box: part, stage, channels, blocks, kernel, stride, size. The cells of a network that has
        some are drawn below.
    """
    table = _boxes(architecture, patch)
    cells = cells_of(architecture)
    heights = [0.7 + 0.82 * (table.stage.max() + 2), *(cell_height(cell, len(names)) for cell, names in cells.values())]
    figure = new_figure(8.6, sum(heights))
    axes, *others = figure.subplots(len(heights), squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for below, (name, (cell, inputs)) in zip(others, cells.items(), strict=True):
        draw_cell(below, cell, inputs, name)
    axes.set_axis_off()
    axes.set_title(title)
    bottom = -(table.stage.max() + 1.35) * GAP
    axes.set(xlim=(-5, 5), ylim=(bottom, 0.75))
    (_unet if "decoder" in set(table.part) or isinstance(architecture, UNet) else _column)(axes, table)
    axes.text(0, bottom + 0.1, _summary(architecture), ha="center", fontsize=9)
    return figure, table


def _boxes(architecture: Architecture, patch: list[int]) -> pd.DataFrame:
    """What is drawn, as a table; sizes are rounded up like those of a strided convolution."""
    rows = []
    if isinstance(architecture, Linear):
        return pd.DataFrame(
            [
                {
                    "part": "linear",
                    "stage": 0,
                    "channels": architecture.out_channels,
                    "blocks": 1,
                    "kernel": "",
                    "stride": "",
                    "size": f"voxels of {architecture.voxel_mm:g} mm",
                }
            ]
        )
    if isinstance(architecture, Cells | Hierarchical):
        return _skeleton(architecture, patch)
    if not isinstance(architecture, UNet | CNN):
        return _sizes(architecture, patch)
    size, sizes = list(patch), []
    for stage, (width, blocks, stride, kernel) in enumerate(
        zip(architecture.widths, architecture.blocks, architecture.strides, architecture.kernels, strict=True)
    ):
        size = [-(-n // s) for n, s in zip(size, stride, strict=True)]
        sizes.append(_times(size))
        row = {"part": "encoder", "stage": stage, "channels": width, "blocks": blocks}
        rows.append({**row, "kernel": _times(kernel), "stride": _times(stride), "size": sizes[-1]})
    if isinstance(architecture, UNet):
        for stage in reversed(range(len(architecture.decoder_blocks))):
            row = {"part": "decoder", "stage": stage, "channels": architecture.widths[stage]}
            row |= {"blocks": architecture.decoder_blocks[stage], "kernel": _times(architecture.kernels[stage])}
            rows.append({**row, "stride": "", "size": sizes[stage]})
    elif architecture.head_width:
        row = {"part": "head", "stage": len(rows), "channels": architecture.head_width, "blocks": 1}
        rows.append({**row, "kernel": "1x1x1", "stride": "", "size": sizes[-1]})
    return pd.DataFrame(rows)


def _skeleton(architecture: Cells | Hierarchical, patch: list[int]) -> pd.DataFrame:
    """Stages of cells: one row for each of the encoder and of the decoder."""
    size, rows = list(patch), []
    for stage, (width, count, stride) in enumerate(
        zip(architecture.widths, architecture.cells, architecture.strides, strict=True)
    ):
        size = [-(-n // s) for n, s in zip(size, stride, strict=True)]
        row = {"part": "encoder", "stage": stage, "channels": width, "blocks": count}
        rows.append({**row, "kernel": "cell", "stride": _times(stride), "size": _times(size)})
    for row in rows[-2::-1] if architecture.decoder else []:
        rows.append({**row, "part": "decoder", "blocks": 1, "stride": ""})
    return pd.DataFrame(rows)


def _sizes(architecture: Architecture, patch: list[int]) -> pd.DataFrame:
    """A network of any other family: one row for each run of layers of one size, down and, if it does, up again."""
    rows: list[dict[str, Any]] = []
    sizes: list[tuple[int, ...]] = []
    graph = expand(architecture)
    needed = set(graph.needed(training=False))
    for shaped in (shaped for shaped in infer_shapes(graph, tuple(patch)) if shaped.node.id in needed):
        size = shaped.output.size
        if not sizes or sizes[-1] != size:
            before = sizes[-1] if sizes else tuple(patch)[graph.clip :]
            stride = [round(a / b) for a, b in zip(before, size, strict=True)] if prod(size) <= prod(before) else ()
            row = {"part": "graph", "stage": len(rows), "channels": shaped.output.channels, "blocks": 0}
            rows.append({**row, "kernel": "", "stride": _times(stride), "size": _times(size)})
            sizes.append(size)
        rows[-1]["blocks"] += sum(layer.kind in WEIGHTED for layer in shaped.layers)
        if not shaped.node.op.endswith("_head"):
            rows[-1]["channels"] = shaped.output.channels
    half = len(sizes) // 2
    if half and sizes == sizes[::-1]:
        for number, row in enumerate(rows):
            row["part"] = "encoder" if number <= half else "decoder"
            row["stage"] = min(number, 2 * half - number)
    return pd.DataFrame(rows)


def _times(triple: Sequence[int]) -> str:
    return "x".join(map(str, triple))


def _summary(architecture: Architecture) -> str:
    """The choices that hold for all stages, in words."""
    if isinstance(architecture, Linear):
        return f"{architecture.in_channels} channel(s) in, {architecture.out_channels} out"
    if isinstance(architecture, Cells | Hierarchical):
        kind = f"{architecture.norm} norm, {architecture.activation.replace('_', ' ')}"
        kind += ", deep supervision" if architecture.deep_supervision else ""
        return f"{kind}; {architecture.in_channels} channel(s) in, {architecture.out_channels} out"
    if not isinstance(architecture, UNet | CNN):
        operations = dict.fromkeys(node.op.replace("_", " ") for node in expand(architecture).nodes[1:])
        return f"of {', '.join(operations)}"
    kind = f"{', '.join(dict.fromkeys(architecture.block))} blocks"
    expansions = sorted({e for e in architecture.expansion if e > 1})
    if expansions:
        kind += f" (expansion {', '.join(map(str, expansions))})"
    down = {"stride": "strided convolution", "max": "max pooling", "average": "average pooling"}
    parts = [kind, f"{architecture.norm} norm", architecture.activation.replace("_", " ")]
    if any(prod(s) > 1 for s in architecture.strides):
        parts.append(f"downsampling by {down[architecture.downsample]}")
    if isinstance(architecture, UNet) and architecture.deep_supervision:
        parts.append("deep supervision")
    return ", ".join(parts) + f"; {architecture.in_channels} channel(s) in, {architecture.out_channels} out"


def _box(axes: Axes, x: float, row: tuple, colour: str) -> float:
    """Draw the box of a stage about x; returns half its width."""
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
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": "#52606d", "linestyle": style, "lw": 1.2})


def _down(axes: Axes, x: float, row: tuple) -> None:
    """Arrow into a stage from the one above, with its stride."""
    y = -row.stage * GAP
    _arrow(axes, (x, y + GAP - HEIGHT / 2), (x, y + HEIGHT / 2))
    if row.stride and row.stride != "1x1x1":
        axes.text(x + 0.1, y + GAP / 2, f"stride {row.stride}", fontsize=8, va="center")


def _unet(axes: Axes, table: pd.DataFrame) -> None:
    """Encoder down the left, bottleneck in the middle, decoder up the right."""
    last = table.stage.max()

    def place(stage: int) -> float:
        return 2.6 * (1 - 0.28 * stage / max(1, last))

    halves: dict[tuple[str, int], float] = {}
    for row in table.itertuples():
        bottom = row.stage == last
        x = 0.0 if bottom else -place(row.stage) if row.part == "encoder" else place(row.stage)
        halves[row.part, row.stage] = _box(axes, x, row, DECODER if row.part == "decoder" else ENCODER)
        y = -row.stage * GAP
        if row.part == "encoder":
            if bottom:
                axes.text(0, y - HEIGHT / 2 - 0.16, row.size, ha="center", va="center", fontsize=8.5, color="#52606d")
            else:
                left = x - halves[row.part, row.stage] - 0.12
                axes.text(left, y, row.size, ha="right", va="center", fontsize=8.5, color="#52606d")
            if row.stage and not bottom:
                _down(axes, x, row)
        elif row.stage < last - 1:
            _arrow(axes, (x, y - GAP + HEIGHT / 2), (x, y - HEIGHT / 2))
    for stage in range(last):
        start, end = -place(stage) + halves["encoder", stage], place(stage) - halves["decoder", stage]
        _arrow(axes, (start, -stage * GAP), (end, -stage * GAP), "--")
    axes.text(0, 0.14, "skip connections", ha="center", fontsize=8, color="#52606d")
    if last:
        above, x, half = -(last - 1) * GAP - HEIGHT / 2, place(last - 1), halves["encoder", last]
        _arrow(axes, (-x, above), (-half, -last * GAP))
        _arrow(axes, (half, -last * GAP), (x, above))
        stride = table[(table.part == "encoder") & (table.stage == last)].stride.iloc[0]
        axes.text(-x - 0.1, above - 0.3, f"stride {stride}", fontsize=8, ha="right", va="center")


def _column(axes: Axes, table: pd.DataFrame) -> None:
    """One stage below the other, then pooling and the output."""
    for row in table.itertuples():
        half = _box(axes, 0, row, HEAD if row.part == "head" else ENCODER)
        y = -row.stage * GAP
        if row.part != "linear":
            axes.text(-half - 0.12, y, row.size, ha="right", va="center", fontsize=8.5, color="#52606d")
        if row.stage:
            _down(axes, 0, row)
    y = -table.stage.max() * GAP
    if table.part.iloc[0] in ("encoder", "head"):
        _arrow(axes, (0, y - HEIGHT / 2), (0, y - HEIGHT / 2 - 0.36))
        axes.text(
            0, y - HEIGHT / 2 - 0.5, "global average pooling, linear layer", ha="center", va="center", fontsize=8.5
        )
