"""Choices of the searches: parallel coordinates of all trials, and the importance of each choice."""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from voxnas.benchmark import results
from voxnas.core.measures import Measure, validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Proposal
from voxnas.io.records import read_record
from voxnas.io.tables import table_rows
from voxnas.report.sentence import is_hand_made
from voxnas.report.style import COLOURS, EDGE, INK, SOFT, Drawn, new_figure

LEAST_TRIALS = 10  # with a score, for a forest
REFITS, TREES = 30, 50
MOST_AXES = 10  # of the parallel coordinates, the most important
MOST_TICKS = 8  # values with a label on an axis
INACTIVE = "inactive"


def read_choices(paths: StudyPaths) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the choices and results of the trials of all searches of a space; hand-made networks have none.

    Returns
    -------
    choices : DataFrame
        One row a trial (its latest step); one column a parameter with at least two values; missing if inactive.
    outcome : DataFrame
        search, trial, rung and score (larger is better; NaN if the trial failed) of the same rows.
    """
    rows, outcomes = [], []
    for search in (name for name in results.searches(paths) if not is_hand_made(name)):
        history = results.search_history(paths, search)
        for row in table_rows(history.drop_duplicates("trial", keep="last")):
            rows.append(read_record(paths.step(search, row.step) / "proposal.json", Proposal).config)
            outcomes.append({"search": search, "trial": row.trial, "rung": row.rung, "score": row.score})
    choices = pd.DataFrame(rows, dtype=object)
    choices = choices.map(lambda value: str(value) if isinstance(value, list | tuple | dict | bool) else value)
    varied = [name for name in choices if choices[name].astype(str).nunique() > 1]
    return choices[varied], pd.DataFrame(outcomes, columns=["search", "trial", "rung", "score"])


def has_choices(paths: StudyPaths) -> bool:
    """Whether the study has enough trials with a score, and a parameter that varies."""
    choices, outcome = read_choices(paths)
    return len(choices.columns) > 0 and int(outcome.score.notna().sum()) >= LEAST_TRIALS


def encode(values: pd.Series) -> tuple[np.ndarray, dict[str, float]]:
    """Encode a parameter as positions from 0 to 1: numbers by their order, texts alphabetically, inactive as -0.15.

    Returns
    -------
    positions : ndarray, (N,)
    ticks : dict of str to float
        Label and position of each value; a parameter of many values has the labels of its ends and of its median.
    """
    known = values.dropna()
    numeric = bool(known.map(lambda value: isinstance(value, int | float)).all())
    levels = sorted(known.unique()) if numeric else sorted(known.astype(str).unique())
    places = {level: i / max(1, len(levels) - 1) for i, level in enumerate(levels)}
    positions = [-0.15 if pd.isna(value) else places[value if numeric else str(value)] for value in values]
    labelled = levels if len(levels) <= MOST_TICKS else [levels[0], levels[len(levels) // 2], levels[-1]]
    ticks = {f"{level:.3g}" if numeric else str(level): places[level] for level in labelled}
    return np.array(positions), ticks | ({INACTIVE: -0.15} if values.isna().any() else {})


@cache
def importance(paths: StudyPaths) -> tuple[pd.DataFrame, float, int]:
    """Estimate the importance of each choice by permutation in random forests (Breiman 2001, section 10).

    Each of `REFITS` forests is fitted to a bootstrap sample of the trials with a score, and predicts the trials outside
    of its sample. The importance of a choice is the increase of the squared error of these predictions if the values
    of the choice are permuted, in units of the variance of all scores. The rung of a trial is a further input.

    Returns
    -------
    table : DataFrame
        parameter, importance (mean over the refits), low, high (5th and 95th percentile), the most important first.
    explained : float
        Mean share of the variance of the scores that the forests explain outside of their samples.
    trials : int
        Number of trials with a score.
    """
    from sklearn.ensemble import RandomForestRegressor

    choices, outcome = read_choices(paths)
    scored = outcome.score.notna().to_numpy()
    score = outcome.score[scored].to_numpy(dtype=float)
    inputs = np.column_stack([*(encode(choices[name])[0] for name in choices), outcome.rung])[scored]
    rng, count, variance = np.random.default_rng(0), len(score), float(score.var()) or 1.0
    found, explained = np.zeros((REFITS, len(choices.columns))), np.zeros(REFITS)
    for refit in range(REFITS):
        drawn = rng.integers(count, size=count)
        outside = np.setdiff1d(np.arange(count), drawn)
        forest = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=refit).fit(inputs[drawn], score[drawn])
        error = np.square(forest.predict(inputs[outside]) - score[outside]).mean()
        explained[refit] = 1 - error / variance
        for column in range(len(choices.columns)):
            permuted = inputs[outside].copy()
            permuted[:, column] = rng.permutation(permuted[:, column])
            found[refit, column] = np.square(forest.predict(permuted) - score[outside]).mean() - error
    found /= variance
    low, high = np.quantile(found, (0.05, 0.95), axis=0)
    columns = {"parameter": list(choices), "importance": found.mean(0), "low": low, "high": high}
    table = pd.DataFrame(columns).sort_values("importance", ascending=False, ignore_index=True)
    return table, float(explained.mean()), count


def importance_sentence(paths: StudyPaths) -> str:
    """State on how many trials the importances rest, and whether the forests predict scores at all."""
    _, explained, count = importance(paths)
    text = f"The importances rest on {count} trials with a score and describe the sampled trials, not causes."
    if explained <= 0:
        return f"{text} The forests do not predict scores outside of their samples, so that no importance is reliable."
    return f"{text} Outside of their samples the forests explain {explained:.0%} of the variance of the scores."


def draw_importance(paths: StudyPaths) -> Drawn:
    """Draw the importance of each choice with its interval over the refits."""
    table = importance(paths)[0]
    figure = new_figure(8.6, 0.9 + 0.26 * len(table))
    axes = figure.subplots()
    places = np.arange(len(table))[::-1]
    axes.axvline(0, color=INK, linewidth=1)
    axes.hlines(places, table.low, table.high, color=EDGE, linewidth=2.2)
    axes.plot(table.importance, places, "o", color=COLOURS[0])
    axes.set_yticks(places, table.parameter)
    axes.set(xlabel="increase of the squared error by permutation, share of the variance of the scores")
    return figure, table


def parallel_coordinates(paths: StudyPaths) -> Drawn:
    """Draw each trial as a line over its most important choices and its score; dark lines are the best tenth.

    Failed trials are dotted and end before the axis of the score.
    """
    measure: Measure = validation_measure(results.benchmark_spec(paths).task)
    choices, outcome = read_choices(paths)
    names = list(importance(paths)[0].parameter[:MOST_AXES])
    figure = new_figure(8.6, 4.6)
    axes = figure.subplots()
    columns, ticks = zip(*(encode(choices[name]) for name in names), strict=True)
    score = outcome.score.to_numpy(dtype=float)
    low, high = np.nanquantile(score, 0.1), np.nanmax(score)
    columns = [*columns, np.clip((score - low) / (high - low or 1), 0, 1)]
    bounds = measure.sign * np.array([low, high])
    ticks = [*ticks, {f"{bounds[0]:.3g} or worse": 0.0, f"{bounds[1]:.3g}": 1.0}]
    values = np.column_stack(columns)
    # Lines of equal discrete values are spread, so that their number is visible.
    values[:, :-1] += np.random.default_rng(0).uniform(-0.018, 0.018, values[:, :-1].shape)
    best = score >= np.nanquantile(score, 0.9)
    for row, is_best, known in zip(values, best, np.isfinite(score), strict=True):
        style: dict[str, Any] = {"color": COLOURS[1], "alpha": 0.9, "linewidth": 1.6, "zorder": 3} if is_best else {}
        other: dict[str, Any] = {"color": COLOURS[0] if known else SOFT, "alpha": 0.3, "linewidth": 0.8}
        axes.plot(row, linestyle="-" if known else ":", **(style or other))
    box = {"facecolor": "#ffffff", "edgecolor": "none", "alpha": 0.85, "pad": 0.8}
    for place, labels in enumerate(ticks):
        axes.axvline(place, color=EDGE, linewidth=1)
        for text, position in labels.items():
            axes.text(place + 0.06, position, text, fontsize=7.5, va="center", zorder=4, bbox=box)
    axes.set_xticks(
        range(len(values[0])), [*names, f"validation {measure.title}"], rotation=30, ha="right", fontsize=8.5
    )
    axes.set(ylim=(-0.22, 1.06), xlim=(-0.1, len(names) + 0.75), yticks=[])
    axes.grid(False)
    axes.spines[["left", "bottom"]].set_visible(False)
    table = pd.concat([outcome.assign(score=measure.sign * outcome.score), choices[names]], axis=1)
    return figure, table
