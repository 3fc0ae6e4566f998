"""Test scores by case: a table, and a strip plot of all networks."""

import numpy as np
import pandas as pd

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import read_leaderboard
from voxnas.benchmark.results import ENSEMBLE
from voxnas.core.paths import StudyPaths
from voxnas.report.front import singles
from voxnas.report.identities import Identities
from voxnas.report.style import INK, Drawn, new_figure
from voxnas.report.tables import Column, Table, number
from voxnas.report.trials import MOST_ROWS

SCORES = {
    "segmentation": "Dice",
    "classification": "probability of the true class",
    "regression": "absolute error",
}


def case_scores(paths: StudyPaths) -> pd.DataFrame:
    """Return the score of each case (rows) by each network (columns, the winner first), mean over the seeds."""
    task, board = results.benchmark_spec(paths).task, read_leaderboard(paths)
    keys = dict(zip(board.name, board.key, strict=True))
    return pd.DataFrame({name: _scores(results.cases(paths.cases(keys[name]), task), task) for name in singles(board)})


def _scores(table: pd.DataFrame, task: str) -> pd.Series:
    table = table[table.seed != ENSEMBLE]
    if task == "segmentation":
        score = table.dice
    elif task == "regression":
        score = (table.predicted - table.target).abs()
    else:
        classes = [name for name in map(str, table.columns) if name.startswith("probability_")]
        own = np.stack([(table.target == name.removeprefix("probability_")).to_numpy() for name in classes], axis=1)
        score = pd.Series((table[classes].to_numpy() * own).sum(1), table.index)
    return score.groupby(table.scan).mean()


def cases_table(paths: StudyPaths) -> Table:
    """Return the table of the scores by case, the worst case of the winner first."""
    task, scores = results.benchmark_spec(paths).task, case_scores(paths)
    scores = scores.sort_values(scores.columns[0], ascending=task != "regression", kind="stable")
    columns = [Column("test case", numeric=False), *(Column(str(name), SCORES[task]) for name in scores)]
    rows = [
        [(str(case), case), *((number(value, 3), value) for value in row)]
        for case, row in zip(scores.index, scores.to_numpy(), strict=True)
    ]
    return Table(columns, rows).first(MOST_ROWS)


def strips(paths: StudyPaths) -> Drawn:
    """Draw the score of each case by each network as a dot; a line marks the median."""
    task, scores, identities = results.benchmark_spec(paths).task, case_scores(paths), Identities(paths)
    figure = new_figure(8.6, 0.9 + 0.42 * len(scores.columns))
    axes = figure.subplots()
    places = np.arange(len(scores.columns))[::-1]
    names = list(map(str, scores.columns))
    for place, name in zip(places, names, strict=True):
        colour, marker = identities[name]
        # Cases are spread in the order of the table, which is the same for all networks.
        spread = np.linspace(-0.28, 0.28, len(scores)) if len(scores) > 1 else np.zeros(1)
        axes.plot(scores[name], place + spread, marker, color=colour, markersize=4, alpha=0.6, linestyle="none")
        axes.plot([scores[name].median()] * 2, [place - 0.36, place + 0.36], color=INK, linewidth=1.6)
    axes.set_yticks(places, names)
    axes.set(xlabel=f"{SCORES[task]} of a test case, mean over seeds", ylim=(-0.6, len(places) - 0.4))
    return figure, scores.rename_axis("case").reset_index()
