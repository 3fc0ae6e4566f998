"""The result of a study in plain words, honest where it is not a win."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from voxnas.benchmark.metrics import Measure
from voxnas.core.trial import LINEAR
from voxnas.io.tables import table_rows
from voxnas.report.tables import number, quantity, signed, verdict


def headline(
    board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure, confidence: float, unit: str = "scan"
) -> str:
    """What the winner reaches, and how it stands to each hand-made network and to random search.

    First of all that it does not beat the best linear model, where it does not.

    Parameters
    ----------
    board, comparisons : DataFrame
        As the benchmark wrote them.
    measure : Measure
        Of the task.
    confidence : float
        Of the intervals.
    unit : str
        What is scored: a scan, or a volume, run or participant of time series.
    """
    winner = board[board.winner].iloc[0]
    d = measure.digits
    scans = int(comparisons["scans"].iloc[0]) if len(comparisons) else 0
    where = f"On {scans} locked test {unit}s " if scans else f"On the locked test {unit}s "
    reached = (
        f"{where}{winner['name']} reaches {measure.article} {measure.title} of {number(winner.test_score, d)} "
        f"({confidence:.0%} interval {number(winner.low, d)} to {number(winner.high, d)}) "
        f"with {quantity(winner.parameters)} parameters."
    )
    parts = [against_linear(board, comparisons, measure), reached]
    if is_hand_made(winner.source):
        parts += ["It is the best by validation of the networks of this study, which has no search."]
        parts += [against_baselines(board, comparisons)]
    else:
        parts += [against_baselines(board, comparisons), against_random(board, comparisons, measure)]
    return " ".join(part for part in parts if part)


def against_linear(board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure) -> str:
    """That the winner does not beat the linear model of the best test score; empty where it does, or there is none."""
    winner, linear = board[board.winner].iloc[0], hand_made(board[board.source == LINEAR])
    if linear.empty:
        return ""
    what = "network" if is_hand_made(winner.source) else "searched network"
    if winner.source == LINEAR:
        return f"No {what} of this study is better by validation than the linear model {winner['name']}."
    best = linear.iloc[0]
    row = comparisons[(comparisons.comparison == "winner") & (comparisons.second == best["name"])].iloc[0]
    said = verdict(row.low, row.high)
    if said == "better":
        return ""
    d = measure.digits
    words = {"worse": "is worse than it", "not told apart": "cannot be told apart from it"}
    return (
        f"The {what} {winner['name']} does not beat the linear baseline {best['name']}: with {measure.article} "
        f"{measure.title} of {number(winner.test_score, d)} against {number(best.test_score, d)} it {words[said]} "
        f"(difference {signed(row.difference, d)}, interval {signed(row.low, d)} to {signed(row.high, d)})."
    )


def is_hand_made(source: str) -> bool:
    """Whether a row of the leaderboard comes from a baseline."""
    return source.startswith("baseline") or source == LINEAR


def hand_made(board: pd.DataFrame) -> pd.DataFrame:
    """Rows of the baselines, without their ensembles, the best first."""
    return board[board.source.map(is_hand_made).astype(bool) & ~board.name.str.endswith(" (ensemble)")]


def against_baselines(board: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """The winner against each (other) hand-made network, without ensembles."""
    single = hand_made(board[~board.winner])
    if single.empty:
        return "The study has no hand-made network to compare with."
    rows = comparisons[(comparisons.comparison == "winner") & comparisons.second.isin(single.name)]
    said: dict[str, list[str]] = {}
    for row in table_rows(rows):
        said.setdefault(verdict(row.low, row.high), []).append(row.second)
    if set(said) == {"better"}:
        kind = "other" if is_hand_made(board.source[board.winner].iloc[0]) else "hand-made"
        return f"It beats every {kind} network ({join(said['better'])})."
    words = {
        "better": "It beats {}.",
        "not told apart": "This test cannot tell it from {}.",
        "worse": "It is worse than {}.",
    }
    return " ".join(words[kind].format(join(said[kind])) for kind in words if kind in said)


def against_random(board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure) -> str:
    """The best network of the other method against that of random search."""
    rows = comparisons[comparisons.comparison == "methods"]
    source = dict(zip(board.name, board.source, strict=True))
    rows = rows[[source.get(name) == "random" for name in rows.second]]
    if rows.empty:
        return "The study has no second search to compare with."
    row = rows.iloc[0]
    words = {
        "better": "The {0} search found a better network than random search at equal budget",
        "worse": "Random search found a better network than the {0} search at equal budget",
        "not told apart": "The networks of the {0} search and of random search at equal budget cannot be told apart",
    }
    d = measure.digits
    text = words[verdict(row.low, row.high)].format(source[row["first"]])
    return f"{text} (difference {signed(row.difference, d)}, interval {signed(row.low, d)} to {signed(row.high, d)})."


def join(names: Sequence[str]) -> str:
    """Names as a list in words."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
