"""Figures of a study: search, training curves and comparisons; other modules draw the remaining figures."""

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

from voxnas.benchmark import results
from voxnas.benchmark.efficiency import has_efficiency, is_comparison
from voxnas.benchmark.leaderboard import read_comparisons, read_leaderboard
from voxnas.core.measures import ranking_measure, validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.io.tables import table_rows
from voxnas.report.alphas import alpha_curves, gradient_searches
from voxnas.report.cases import strips
from voxnas.report.drawing import winner
from voxnas.report.efficiency import equal_cost, score_against_cost
from voxnas.report.front import front, singles
from voxnas.report.identities import Identities
from voxnas.report.importance import draw_importance, has_choices, parallel_coordinates
from voxnas.report.quality import quality_figures
from voxnas.report.scans import scans
from voxnas.report.style import GRID, INK, SOFT, STYLE, Drawn, legend_below, new_figure, outliers, save_figure
from voxnas.report.tables import distinct_pairs, interval, signed
from voxnas.report.trials import has_curves, trial_curves, trial_front
from voxnas.report.viewer import write_viewer


def draw_figures(paths: StudyPaths, folder: Path) -> list[str]:
    """Draw all figures of a study to a folder and return their names."""
    searched = {"best_so_far": best_so_far, "trial_front": trial_front, "front": front}
    if has_choices(paths):
        searched |= {"importance": draw_importance, "parallel": parallel_coordinates}
    if has_curves(paths):
        searched["trial_curves"] = trial_curves
    if gradient_searches(paths):
        searched["alphas"] = alpha_curves
    compared = (
        {"efficiency": score_against_cost, "equal_cost": equal_cost} if has_efficiency(paths) else {"front": front}
    )
    figures: dict[str, Callable[[StudyPaths], Drawn]] = {
        **(compared if is_comparison(paths) else searched),
        "learning_curves": learning_curves,
        "leaderboard": forest,
        "winner": winner,
        "scans": scans,
        "cases": strips,
    }
    with matplotlib.rc_context(STYLE):
        for name, draw in figures.items():
            save_figure(folder, name, *draw(paths))
    if results.benchmark_spec(paths).task == "segmentation":
        write_viewer(paths, folder / "viewer.json")
    return [*figures, *quality_figures(paths, folder)]


def best_so_far(paths: StudyPaths) -> Drawn:
    """Draw the score of the best trial of each search over the cost of the search, with each step as a point."""
    measure = validation_measure(results.benchmark_spec(paths).task)
    tables = []
    for search in results.searches(paths):
        table = results.search_history(paths, search)
        table.insert(0, "search", search)
        table[["score", "best"]] *= measure.sign
        tables.append(table)
    history = pd.concat(tables, ignore_index=True)
    figure = new_figure(8.6, 3.7)
    axes = figure.subplots()
    timed = history.measured_seconds.notna().all()
    history["cost"] = history.groupby("search")["measured_seconds" if timed else "samples"].cumsum()
    history["cost"] /= 60 if timed else 1
    far = outliers(history.score.to_numpy())
    shown = history.score[~far]
    floor = shown.min() if measure.sign > 0 else shown.max()
    identities = Identities(paths)
    for name, table in history.groupby("search", sort=False):
        colour, marker = identities[str(name)]
        axes.step(table.cost, table.best, where="post", color=colour, label=str(name), zorder=3)
        for rung in sorted(table.rung.unique()):
            steps, size = table[table.rung == rung], 5 + 3 * rung
            axes.plot(steps.cost, steps.score, marker, color=colour, alpha=0.5, markersize=size, zorder=2)
        failed = table[table.score.isna()]
        axes.plot(failed.cost, np.full(len(failed), floor), "x", color=colour, markersize=7, clip_on=False)
    if history.score.isna().any():
        axes.plot([], [], "x", color=INK, label="failed trial")
    if far.any():
        margin = 0.05 * (shown.max() - shown.min() or 1)
        axes.set_ylim(shown.min() - margin, shown.max() + margin)
        texts = ", ".join(f"{row.search} {row.step}: {row.score:.3g}" for row in table_rows(history[far].head(5)))
        axes.set_title(f"outside the axis: {texts}" + (" ..." if far.sum() > 5 else ""), fontsize=8, weight="normal")
    unit = "measured CPU minutes" if timed else "training samples"
    axes.set(xlabel=f"cumulative cost ({unit})", ylabel=f"validation {measure.title}")
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    columns = ["search", "step", "trial", "rung", "origin", "state", "reason", "key", "parameters", "macs"]
    return figure, history[[*columns, "cost", "score", "best"]]


def learning_curves(paths: StudyPaths) -> Drawn:
    """Draw training loss and validation score over samples: thin lines for seeds, thick lines for means."""
    measure = validation_measure(results.benchmark_spec(paths).task)
    board = read_leaderboard(paths)
    keys = dict(zip(board.name, board.key, strict=True))
    tables = []
    for name in singles(board):
        for seed in results.seed_results(paths, keys[name]):
            table = results.curve(paths, keys[name], seed)
            if {"samples", "train_loss", "val_score"} <= set(table):
                score = measure.sign * table.val_score
                tables.append(table.assign(name=name, seed=seed, loss=table.train_loss, score=score))
    figure = new_figure(8.6, 3.9)
    columns = ["name", "seed", "samples", "loss", "score"]
    curves = pd.concat(tables)[columns] if tables else pd.DataFrame(columns=columns)
    figure.set_layout_engine("constrained", wspace=0.08)
    panels = figure.subplots(1, 2)
    titles = {"loss": "training loss", "score": f"validation {measure.title}"}
    identities = Identities(paths)
    for axes, (column, title) in zip(panels, titles.items(), strict=True):
        for name in singles(board):
            colour, _ = identities[name]
            of_network = curves[(curves.name == name) & curves[column].notna()]
            for _, one in of_network.groupby("seed"):
                axes.plot(one.samples, one[column], color=colour, linewidth=0.7, alpha=0.5)
            mean = of_network.groupby("samples")[column].mean()
            if len(mean):
                axes.plot(mean.index, mean.to_numpy(), color=colour, marker="." if len(mean) < 3 else None, label=name)
        axes.set(xlabel="samples seen", ylabel=title)
    legend_below(figure, panels[0], columns=5)
    return figure, curves


def forest(paths: StudyPaths) -> Drawn:
    """Draw paired differences with intervals: winner minus each network, or each network minus the reference."""
    spec = results.benchmark_spec(paths)
    measure, confidence = ranking_measure(spec), spec.confidence
    table = read_comparisons(paths)
    if (table.comparison == "reference").any():
        table = table[table.comparison == "reference"].reset_index(drop=True)
    table = distinct_pairs(table)
    figure = new_figure(8.6, 1.1 + 0.34 * max(2, len(table)))
    axes = figure.subplots()
    axes.axvline(0, color=INK, linewidth=1)
    places = np.arange(len(table))[::-1]
    for place, row in zip(places, table_rows(table), strict=True):
        clear = row.verdict in ("better", "worse")
        colour = {"better": "#0072B2", "worse": "#D55E00"}.get(row.verdict, SOFT)
        axes.plot([row.low, row.high], [place, place], color=colour, linewidth=2.2, solid_capstyle="butt")
        axes.plot(row.difference, place, "o", color=colour, mfc=colour if clear else "white", markersize=7)
        d = measure.digits
        text = signed(row.difference, d) + interval(row.low, row.high, d, sign=True)
        axes.text(1.02, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=9)
    labels = [r.second if r.comparison == "winner" else f"{r.first} - {r.second}" for r in table_rows(table)]
    axes.set_yticks(places, labels)
    axes.grid(axis="y", color=GRID, alpha=0.5)
    if "winner" in set(table.comparison):
        axes.set_title(f"{table['first'].iloc[0]} minus ...")
    label = f"difference in test {measure.title}, {confidence:.0%} interval (positive: the first is better)"
    axes.set(xlabel=label, ylim=(-0.7, len(table) - 0.3))
    return figure, table
