"""Test score against cost: networks with intervals, and the Pareto front."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from voxnas.benchmark.leaderboard import ENSEMBLE_SUFFIX, read_leaderboard, without_ensembles
from voxnas.benchmark.results import benchmark_spec
from voxnas.core.measures import Measure, ranking_measure
from voxnas.core.paths import StudyPaths
from voxnas.io.tables import table_rows
from voxnas.report.identities import Identities
from voxnas.report.style import EDGE, Drawn, legend_below, new_figure, outliers
from voxnas.report.tables import number, quantity

COSTS = {"parameters": "parameters", "macs": "MACs of one patch", "latency_ms": "latency of one patch (ms)"}


def pareto(cost: np.ndarray, score: np.ndarray, sign: int) -> np.ndarray:
    """Mask of the Pareto-optimal points: no other point is at least as good in cost and score and better in one.

    Parameters
    ----------
    cost, score : ndarray, (N,)
    sign : int
        1 if a larger score is better, else -1.

    Returns
    -------
    ndarray of bool, (N,)
    """
    better = (cost[None] <= cost[:, None]) & (sign * score[None] >= sign * score[:, None])
    strictly = (cost[None] < cost[:, None]) | (sign * score[None] > sign * score[:, None])
    return ~np.any(better & strictly, axis=1)


def front(paths: StudyPaths) -> Drawn:
    """Draw test score against parameters, MACs and latency, with the Pareto front as a line."""
    measure = ranking_measure(benchmark_spec(paths))
    board = read_leaderboard(paths)
    figure = new_figure(8.6, 4.2)
    panels = figure.subplots(1, len(COSTS), sharey=True)
    identities = Identities(paths)
    for axes, (cost, title) in zip(panels, COSTS.items(), strict=True):
        board[f"front_{cost}"] = cost_panel(axes, board, cost, title, measure, identities)
    panels[0].set_ylabel(f"test {measure.title}")
    legend_below(figure, panels[0])
    columns = ["name", "winner", "test_score", "low", "high", *COSTS, *(f"front_{c}" for c in COSTS)]
    return figure, board[columns]


def cost_panel(
    axes: Axes, board: pd.DataFrame, cost: str, title: str, measure: Measure, identities: Identities
) -> np.ndarray:
    """Draw the test score with its interval against one cost, and the Pareto front as a line.

    The axis of the score ends at the scores that are no outliers; an outlier is an arrow at its end, with its score in
    the legend. Intervals end at the bounds of the measure.

    Parameters
    ----------
    axes : Axes
    board : DataFrame
        name, winner, test_score, low, high and the cost; networks without the cost are omitted.
    cost, title : str
        Column of the cost, and its label.
    measure : Measure
        Measure of the score.
    identities : Identities
        Colours and markers.

    Returns
    -------
    ndarray of bool, (N,)
        Mask of the rows on the Pareto front.
    """
    best = pareto(board[cost].to_numpy(), board.test_score.to_numpy(), measure.sign) & board[cost].notna().to_numpy()
    line = board[best].sort_values(cost)
    axes.step(line[cost], line.test_score, where="post", color=EDGE, linewidth=1.2, linestyle="--", zorder=1)
    low, high = (board[name].clip(measure.low, measure.high) for name in ("low", "high"))
    far = outliers(board.test_score.to_numpy())
    usual = pd.concat([board.test_score, low, high], axis=1)[~far]
    bottom, top = usual.min().min(), usual.max().max()
    margin = 0.05 * (top - bottom or 1)
    if far.any():
        axes.set_ylim(bottom - margin, top + margin)
    for row, is_far, least, most in zip(table_rows(board), far, low, high, strict=True):
        colour, marker = identities[row.name]
        name = f"{row.name} ★" if row.winner else row.name
        if is_far:
            below = row.test_score < bottom
            marker, name = "v" if below else "^", f"{name} ({number(row.test_score, measure.digits)}, outside the axis)"
        axes.errorbar(
            getattr(row, cost),
            row.test_score if not is_far else bottom - margin if below else top + margin,
            # Without an interval, NaN bounds draw no bar.
            yerr=None if is_far else [[max(0.0, row.test_score - least)], [max(0.0, most - row.test_score)]],
            fmt=marker,
            color=colour,
            mfc="none" if row.name.endswith(ENSEMBLE_SUFFIX) else colour,
            elinewidth=0.8,
            clip_on=not is_far,
            label=name,
        )
    axes.set_xlabel(title)
    log_axis(axes, board[cost])
    return best


def log_axis(axes: Axes, values: pd.Series) -> None:
    """Make the horizontal axis logarithmic, with plain numbers at ticks that suit the range of the `values`."""
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=_ticks(values)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: quantity(value)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _ticks(values: pd.Series) -> tuple[float, ...]:
    """Multiples of powers of ten with labels on a logarithmic axis: the shorter the axis, the more."""
    decades = np.log10(values.max() / values.min())
    if decades > 1.5:
        return (1,) if decades > 2.5 else (1, 3)
    return (1, 2, 5) if decades > 0.8 else (1, 1.5, 2, 3, 5, 7)


def singles(board: pd.DataFrame) -> list[str]:
    """Names of the networks without ensembles, the winner first, then by rank."""
    return without_ensembles(board).sort_values("winner", ascending=False, kind="stable").name.tolist()
