"""Alternative texts of the figures, which state their content for readers who cannot see them."""

from collections.abc import Callable

import pandas as pd

from voxnas.core.measures import Measure
from voxnas.core.paths import StudyPaths
from voxnas.io.tables import table_rows
from voxnas.report.tables import number, quantity, signed

MOST = 12  # items of an enumeration


def alternatives(paths: StudyPaths, measure: Measure) -> dict[str, str]:
    """Describe each drawn figure of a study from its table.

    Parameters
    ----------
    paths : StudyPaths
        A study with figures.
    measure : Measure
        Ranking measure.

    Returns
    -------
    dict of str to str
        Text by name of the figure.
    """
    tables = {file.stem: pd.read_csv(file, sep="\t", na_values=["n/a"]) for file in paths.figures.glob("*.tsv")}
    return {name: DESCRIBED.get(name, _columns)(table, measure) for name, table in tables.items()}


def _columns(table: pd.DataFrame, measure: Measure) -> str:
    return f"Figure of {len(table)} rows with the columns {', '.join(map(str, table.columns))}."


def _listed(items: list[str]) -> str:
    return "; ".join(items[:MOST]) + (f"; and {len(items) - MOST} more" if len(items) > MOST else "")


def _front(table: pd.DataFrame, measure: Measure) -> str:
    rows = [
        f"{row.name} {number(row.test_score, measure.digits)} with {quantity(row.parameters)} parameters"
        for row in table_rows(table)
    ]
    return f"Scatter plots of test {measure.title} against costs: {_listed(rows)}."


def _forest(table: pd.DataFrame, measure: Measure) -> str:
    rows = [
        f"{row.first} minus {row.second} {signed(row.difference, measure.digits)}, {row.verdict}"
        for row in table_rows(table)
    ]
    return f"Differences in test {measure.title}: {_listed(rows)}."


def _best_so_far(table: pd.DataFrame, measure: Measure) -> str:
    last = table.groupby("search", sort=False).best.last()
    rows = [f"{name} reaches {best:.3g}" for name, best in last.items()]
    return f"Best validation score of each search over its cost: {_listed(rows)}."


def _curves(table: pd.DataFrame, measure: Measure) -> str:
    last = table.dropna(subset="score").groupby(["name", "seed"], sort=False).score.last().groupby("name").mean()
    rows = [f"{name} ends at {score:.3g}" for name, score in last.items()]
    return f"Training loss and validation score over samples, mean of the last scores: {_listed(rows)}."


def _winner(table: pd.DataFrame, measure: Measure) -> str:
    rows = [f"{row.part} {row.stage}: {row.channels} channels, size {row.size}" for row in table_rows(table)]
    return f"Drawing of the network: {_listed(rows)}."


def _scans(table: pd.DataFrame, measure: Measure) -> str:
    if "dice" in table:
        rows = [f"{row.scan} with a Dice of {row.dice:.3f}" for row in table_rows(table)]
        return f"Slices of test scans with true and predicted labels: {_listed(rows)}."
    if "false_positive_rate" in table:
        return f"ROC curves of the classes {_listed(sorted(map(str, table['class'].unique())))}."
    return f"Predicted against true values of {table.scan.nunique()} test cases."


def _cases(table: pd.DataFrame, measure: Measure) -> str:
    rows = [f"{name} median {median:.3g}" for name, median in table.drop(columns="case").median().items()]
    return f"Scores of {len(table)} test cases: {_listed(rows)}."


def _trial_curves(table: pd.DataFrame, measure: Measure) -> str:
    rows = [f"{name} with {number} trials" for name, number in table.groupby("search").trial.nunique().items()]
    return f"Validation scores of all trials over samples: {_listed(rows)}."


def _trial_front(table: pd.DataFrame, measure: Measure) -> str:
    rows = [
        f"{row.search} {number(row.score, measure.digits)} with {quantity(row.parameters)} parameters"
        for row in table_rows(table[table.finalist])
    ]
    return f"Validation scores of {len(table)} trials against costs, finalists: {_listed(rows)}."


def _alphas(table: pd.DataFrame, measure: Measure) -> str:
    last = table[table.samples == table.groupby("search").samples.transform("max")]
    means = last.groupby(["search", "operation"], sort=False).weight.mean()
    rows = [f"{search}: {operation} {means[search, operation]:.2f}" for search, operation in means.index]
    return f"Mean weights of the operations of supernets over samples, at the end: {_listed(rows)}."


def _importance(table: pd.DataFrame, measure: Measure) -> str:
    rows = [f"{row.parameter} {row.importance:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in table_rows(table)]
    return f"Permutation importance of the choices, share of the variance of the scores: {_listed(rows)}."


def _parallel(table: pd.DataFrame, measure: Measure) -> str:
    best = table.assign(key=measure.sign * table.score).nlargest(1, "key").iloc[0]
    choices = [f"{name} {best[name]}" for name in table.columns[4:]]
    return f"Parallel coordinates of {len(table)} trials. The best trial of {best.search} has {_listed(choices)}."


DESCRIBED: dict[str, Callable[[pd.DataFrame, Measure], str]] = {
    "front": _front,
    "efficiency": _front,
    "leaderboard": _forest,
    "importance": _importance,
    "parallel": _parallel,
    "best_so_far": _best_so_far,
    "learning_curves": _curves,
    "winner": _winner,
    "scans": _scans,
    "cases": _cases,
    "trial_curves": _trial_curves,
    "trial_front": _trial_front,
    "alphas": _alphas,
}
