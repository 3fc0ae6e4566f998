"""Figures of the quality of runs: carpet plots with traces, mosaics of the mean volume, and an overview of all runs."""

from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from voxnas.core.paths import StudyPaths
from voxnas.core.settings import QualitySettings
from voxnas.io.records import read_plan
from voxnas.io.tensors import open_tensors
from voxnas.report.style import COLOURS, STYLE, Drawn, new_figure, save_figure, spread_rows
from voxnas.report.time_series import read_quality

MOST_DOTS = 60  # runs that a panel can show as dots; more are a histogram
DRAWN = 3  # number of runs with a carpet plot
WIDTH, RUN_HEIGHT, TITLE_HEIGHT = 8.6, 3.6, 0.36  # inches
GREY = 2.5  # range of the grey scale, in standard deviations of a voxel
ORDER = ("mean_fd_mm", "mean_dvars", "seconds")  # sorting key of the runs: the first available measure
MEASURES = {
    "mean_fd_mm": "mean FD (mm)",
    "mean_dvars": "mean DVARS (%)",
    "tsnr": "tSNR",
    "start_excess": "first volume (%)",
    "mask_overlap": "mask overlap",
    "anatomical_overlap": "overlap with T1w",
    "seconds": "length (s)",
}
TRACES = {"displacement": "FD\n(mm)", "dvars": "DVARS\n(%)"}
OUTLINE = "#e8112d"


def quality_figures(paths: StudyPaths, output: Path) -> list[str]:
    """Draw the quality of the runs of a study of time series, with a table for each figure.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    output : path
        Folder to write.

    Returns
    -------
    list of str
        Names of the figures: ``quality`` and ``quality_runs``; empty for a study of volumes.
    """
    plan = read_plan(paths.plan)
    if not plan.timed:
        return []
    table = read_quality(paths)
    with matplotlib.rc_context(STYLE):
        save_figure(output, "quality", *carpets(table, DRAWN))
        save_figure(output, "quality_runs", *all_runs(table, plan.bold.quality))
    return ["quality", "quality_runs"]


def chosen_runs(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Choose runs at equal distances in the order of motion, so that the choice is not arbitrary.

    Parameters
    ----------
    table : DataFrame
        Quality of the runs (:func:`voxnas.report.time_series.read_quality`).
    number : int
        Maximum number of runs.
    """
    by = next((name for name in ORDER if table[name].notna().any()), "scan")
    ordered = table.dropna(subset=by).sort_values([by, "scan"], ascending=[False, True], ignore_index=True)
    return spread_rows(ordered, number)


def carpets(table: pd.DataFrame, number: int) -> Drawn:
    """Draw displacement, DVARS, carpet plot and slices with the outline of the brain mask for a selection of runs.

    Carpet plots (Power 2017, doi:10.1016/j.neuroimage.2016.08.009) show evenly spaced voxels of the brain, or the
    regions of an atlas, before the cleaning.
    """
    chosen = chosen_runs(table, number)
    figure = Figure(figsize=(WIDTH, RUN_HEIGHT * len(chosen)))
    for position, (_, row) in enumerate(chosen.iterrows()):
        _draw_run(figure, 1 - position / len(chosen), row, _drawings(row["drawings"], row["scan"]))
    return figure, chosen[["scan", *MEASURES, "excluded"]]


def _drawings(file: str, scan: str) -> dict[str, NDArray]:
    """Read the arrays of a run that preprocessing saved for the figures."""
    with open_tensors(file, "np") as tensors:
        names = [name for name in tensors.keys() if name.rpartition("/")[0] == scan]  # noqa: SIM118 (not a mapping)
        return {name.rpartition("/")[2]: tensors.get_tensor(name) for name in names}


def _draw_run(figure: Figure, top: float, row: pd.Series, found: dict[str, NDArray]) -> None:
    """Draw one run below the height `top` of the figure (0 to 1)."""
    reason = f" (excluded: {row['excluded']})" if isinstance(row["excluded"], str) else ""
    figure.text(0.01, top - 0.1 / figure.get_figheight(), f"{row['scan']}{reason}"[:110], va="top", weight="bold")
    # Fixed positions, since the last digits of a solved layout differ between repeated drawings.
    below = TITLE_HEIGHT

    def panel(height: float, gap: float) -> Axes:
        nonlocal below
        inches = figure.get_figheight()
        axes = figure.add_axes((0.09, top - (below + height) / inches, 0.9, height / inches))
        below += height + gap
        return axes

    for colour, name in zip(COLOURS, TRACES, strict=False):
        if name in found:
            axes, values = panel(0.36, 0.1), found[name]
            axes.plot(
                np.arange(1, len(values)), values[1:], color=colour, linewidth=1
            )  # changes are undefined for the first volume
            axes.set(xlim=(-0.5, len(values) - 0.5))
            axes.set_ylabel(TRACES[name], fontsize=7.5, rotation=0, ha="right", va="center")
            axes.tick_params(labelbottom=False, labelsize=7)
    if "carpet" in found:
        _draw_carpet(panel(1.1, 0.36), found["carpet"])
    if "mean" in found:
        _draw_mosaic(panel(0.7, 0.0), found["mean"], found["brain"])


def _draw_carpet(axes: Axes, carpet: NDArray) -> None:
    """Draw voxels (rows) over time, detrended and divided by their standard deviations."""
    values = carpet.astype(np.float64)
    times = np.arange(values.shape[1]) - (values.shape[1] - 1) / 2
    values -= values.mean(axis=1, keepdims=True)
    values -= np.outer(values @ times / (times @ times), times)
    deviation = values.std(axis=1, keepdims=True)
    values = np.divide(values, deviation, out=np.zeros_like(values), where=deviation > 0)
    axes.imshow(values, cmap="gray", vmin=-GREY, vmax=GREY, aspect="auto", interpolation="nearest")
    axes.set_yticks([])
    axes.set_ylabel(f"{len(values)}\nseries", fontsize=7.5, rotation=0, ha="right", va="center")
    axes.set_xlabel("volume", fontsize=7.5)
    axes.grid(False)
    axes.tick_params(labelsize=7)


def _draw_mosaic(axes: Axes, mean: NDArray, brain: NDArray) -> None:
    """Draw axial slices (n, Y, X) in a row."""
    strip, inside = (np.concatenate(list(slices), axis=1) for slices in (mean, brain))
    low, high = np.percentile(strip, (1, 99.5))
    axes.imshow(strip, cmap="gray", vmin=low, vmax=max(high, low + 1e-6), origin="lower")
    if 0 < inside.mean() < 1:
        axes.contour(inside, levels=[0.5], colors=[OUTLINE], linewidths=0.7)
    axes.set_axis_off()


def all_runs(table: pd.DataFrame, limits: QualitySettings) -> Drawn:
    """Draw each measure of all runs as dots, or as a histogram of many; excluded runs as crosses, limits as lines."""
    known = [name for name in MEASURES if table[name].notna().any()]
    figure = new_figure(8.6, 2.9)
    left_out = table["excluded"].notna()
    shift = np.linspace(-0.3, 0.3, len(table)) if len(table) > 1 else np.zeros(1)
    for axes, name in zip(np.atleast_1d(figure.subplots(1, max(1, len(known)))), known, strict=True):
        kept = table.loc[~left_out, name]
        if len(table) > MOST_DOTS:
            counts, edges = np.histogram(kept.dropna(), bins=30)
            heights = 0.45 * counts / max(1, counts.max())
            axes.barh(edges[:-1], 2 * heights, np.diff(edges), left=-heights, align="edge", color=COLOURS[0])
        else:
            axes.plot(shift[~left_out], kept, "o", color=COLOURS[0], markersize=3.5, alpha=0.7)
        axes.plot(shift[left_out], table.loc[left_out, name], "x", color=COLOURS[1], markersize=5)
        if (limit := getattr(limits, name, None)) is not None:
            axes.axhline(limit, color=COLOURS[1], linestyle="--", linewidth=1)
        axes.set(xticks=[], xlim=(-0.5, 0.5))
        axes.set_title(MEASURES[name], fontsize=8)
        axes.tick_params(labelsize=7)
    return figure, table[["scan", *known, "excluded"]]
