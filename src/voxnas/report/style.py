"""How all figures look, and how they are saved: SVG beside the table that it draws."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from voxnas.io.records import write_text
from voxnas.io.tables import write_table

# Okabe and Ito (2008): told apart with any kind of colour vision; markers differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
INK, GRID = "#1f2933", "#dfe3e8"

Drawn = tuple[Figure, pd.DataFrame]
"""A figure, and the table that it draws."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": "#9aa5b1",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "savefig.facecolor": "white",
}


def identity(position: int) -> tuple[str, str]:
    """Colour and marker of the network or search at a position; marker and colour cycles differ in phase."""
    turn = position // len(COLOURS)
    return COLOURS[position % len(COLOURS)], MARKERS[(position + turn) % len(MARKERS)]


def new_figure(width: float, height: float) -> Figure:
    """A figure of the given size in inches, laid out so that nothing overlaps."""
    return Figure(figsize=(width, height), layout="constrained")


def save_figure(folder: Path, name: str, figure: Figure, table: pd.DataFrame) -> None:
    """Write ``<name>.svg`` and ``<name>.tsv``; equal figures give equal bytes."""
    path = folder / f"{name}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    # The salt keeps the ids inside one page apart and equal between runs.
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    lines = [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    write_text(path, "\n".join(lines) + "\n")
    write_table(folder / f"{name}.tsv", table)
