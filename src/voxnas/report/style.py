"""Common style of the figures, and saving of a figure as SVG with its table."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from voxnas.io.records import write_text
from voxnas.io.tables import write_table

# Okabe and Ito (2008): distinguishable with colour vision deficiency; markers differ as well.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#666666")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "d", "8")
INK, SOFT, EDGE, GRID = "#1f2933", "#52606d", "#9aa5b1", "#dfe3e8"
FAR = 3.0  # interquartile ranges beyond the quartiles at which a value is an outlier (Tukey 1977)

Drawn = tuple[Figure, pd.DataFrame]
"""A figure and its table."""

STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Helvetica", "Arial"],
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": EDGE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "text.color": INK,
    "text.parse_math": False,  # names of labels and scans may contain $
    "xtick.color": INK,
    "ytick.color": INK,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "savefig.facecolor": "white",
}


def identity(position: int) -> tuple[str, str]:
    """Colour and marker of the series at a position; all from the seventh on are grey and differ by their marker."""
    turn = position // len(MARKERS)
    colour = COLOURS[position] if position < len(COLOURS) else ("#666666", "#8c8c8c", "#404040")[turn % 3]
    return colour, MARKERS[position % len(MARKERS)]


def outliers(values: np.ndarray) -> np.ndarray:
    """Mask of the values far outside the quartiles, which would squeeze all others on an axis; NaN is none.

    Examples
    --------
    >>> outliers(np.array([0.81, 0.83, 0.84, 0.85, 0.86, 0.1])).tolist()
    [False, False, False, False, False, True]
    """
    known = values[np.isfinite(values)]
    if len(known) < 4:
        return np.zeros(len(values), bool)
    low, high = np.quantile(known, (0.25, 0.75))
    reach = FAR * max(high - low, 1e-9)
    return (values < low - reach) | (values > high + reach)


def new_figure(width: float, height: float) -> Figure:
    """Create a figure of the given size in inches, with constrained layout."""
    return Figure(figsize=(width, height), layout="constrained")


def legend_below(figure: Figure, axes: Axes, columns: int = 4) -> None:
    """Draw the legend of the given axes below the figure, if it has entries."""
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)))


def spread_rows(table: pd.DataFrame, count: int) -> pd.DataFrame:
    """Return at most `count` rows at equal distances, including the first and the last; a single row is the median."""
    places = np.linspace(0, len(table) - 1, count) if count > 1 else np.array([(len(table) - 1) / 2])
    return table.iloc[sorted(set(places.round().astype(int)))]


def save_figure(folder: Path, name: str, figure: Figure, table: pd.DataFrame) -> None:
    """Write ``<name>.svg`` and ``<name>.tsv``; equal figures give equal bytes."""
    path = folder / f"{name}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    # The salt makes ids unique in a page and reproducible.
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    lines = [line.rstrip() for line in path.read_text(encoding="utf-8").splitlines()]
    write_text(path, "\n".join(lines) + "\n")
    write_table(folder / f"{name}.tsv", table)
