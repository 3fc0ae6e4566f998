"""The result of a study as sentences, including unfavourable comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from voxnas.benchmark.metrics import Measure
from voxnas.core.splits import Splits
from voxnas.core.trial import LINEAR
from voxnas.io.tables import table_rows
from voxnas.report.tables import interval, number, quantity, signed


def headline(
    board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure, confidence: float, unit: str, split: str
) -> str:
    """Describe the score of the winner and its comparison with hand-made networks and random search.

    If the winner does not beat the best linear model, the text begins with this statement.

    Parameters
    ----------
    board, comparisons : DataFrame
        Tables of the benchmark.
    measure : Measure
        Ranking measure.
    confidence : float
        Nominal coverage of the intervals.
    unit : str
        Unit of prediction: a scan, or a volume, run or participant of time series.
    split : str
        Unit of the splits, the independent unit of the intervals.
    """
    winner = board[board.winner].iloc[0]
    d = measure.digits
    people = f"{winner.participants:.0f} participants"
    of = people if split == "participant" else f"{winner.units:.0f} {split}s ({people})"
    within = f"{confidence:.0%} interval{interval(winner.low, winner.high, d)}"
    within += f", {winner.note}" if winner.note else ""
    reached = (
        f"On {winner.scans:.0f} locked test {unit}s of {of} {winner['name']} reaches {measure.article} {measure.title} "
        f"of {number(winner.test_score, d)} ({within if pd.notna(winner.low) else winner.note}) "
        f"with {quantity(winner.parameters)} parameters."
    )
    parts = [against_linear(board, comparisons, measure), reached]
    if is_hand_made(winner.source):
        parts += ["It has the best validation score of this study, which has no search."]
        parts += [against_baselines(board, comparisons)]
    else:
        parts += [against_baselines(board, comparisons), against_random(board, comparisons, measure)]
    return " ".join(part for part in parts if part)


def against_linear(board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure) -> str:
    """State that the winner does not beat the linear model with the best test score; else an empty string."""
    winner, linear = board[board.winner].iloc[0], hand_made(board[board.source == LINEAR])
    if linear.empty:
        return ""
    what = "network" if is_hand_made(winner.source) else "searched network"
    if winner.source == LINEAR:
        return f"No {what} of this study is better by validation than the linear model {winner['name']}."
    best = linear.iloc[0]
    row = comparisons[(comparisons.comparison == "winner") & (comparisons.second == best["name"])].iloc[0]
    if row.verdict == "better":
        return ""
    d = measure.digits
    words = {
        "worse": "is worse than it",
        "indistinguishable": "is indistinguishable from it",
        "untested": "could not be tested against it",
    }
    return (
        f"The {what} {winner['name']} does not beat the linear baseline {best['name']}: with {measure.article} "
        f"{measure.title} of {number(winner.test_score, d)} against {number(best.test_score, d)} it "
        f"{words[row.verdict]} (difference {signed(row.difference, d)}{interval(row.low, row.high, d, sign=True)})."
    )


def separation(splits: Splits, dataset: Mapping[str, Any]) -> str:
    """State what separates the locked test split from the other scans.

    Parameters
    ----------
    splits : Splits
    dataset : mapping
        Content of ``index/dataset.json``, which tells whether the participants are known.
    """
    if splits.within:
        return (
            f"A within-participant study: the test split contains other {splits.unit}s of training participants, so "
            "that the scores do not generalise to other people."
        )
    if not dataset["identified"]:
        shared = " The names of its scans suggest that participants have several scans." if dataset["doubt"] else ""
        return (
            "The test split is separated by scan, since the data set does not name its participants: a participant of "
            f"the test split may also have training scans.{shared}"
        )
    return f"The test split is separated by {splits.unit}."


def is_hand_made(source: str) -> bool:
    """Whether the source of a network is a baseline."""
    return source.startswith("baseline") or source == LINEAR


def hand_made(board: pd.DataFrame) -> pd.DataFrame:
    """Rows of the baselines without ensembles, the best first."""
    return board[board.source.map(is_hand_made).astype(bool) & ~board.name.str.endswith(" (ensemble)")]


def against_baselines(board: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """Compare the winner with the (other) hand-made networks, without ensembles."""
    single = hand_made(board[~board.winner])
    if single.empty:
        return "The study contains no hand-made network for comparison."
    rows = comparisons[(comparisons.comparison == "winner") & comparisons.second.isin(single.name)]
    said: dict[str, list[str]] = {}
    for row in table_rows(rows):
        said.setdefault(row.verdict, []).append(row.second)
    if set(said) == {"better"}:
        kind = "other" if is_hand_made(board.source[board.winner].iloc[0]) else "hand-made"
        return f"It beats every {kind} network ({join(said['better'])})."
    words = {
        "better": "It beats {}.",
        "indistinguishable": "This test cannot distinguish it from {}.",
        "worse": "It is worse than {}.",
        "untested": "It could not be tested against {}.",
    }
    return " ".join(words[kind].format(join(said[kind])) for kind in words if kind in said)


def against_random(board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure) -> str:
    """Compare the best network of the other search method with the best network of random search."""
    rows = comparisons[comparisons.comparison == "methods"]
    source = dict(zip(board.name, board.source, strict=True))
    rows = rows[[source.get(name) == "random" for name in rows.second]]
    if rows.empty:
        return "The study contains no random search for comparison."
    row = rows.iloc[0]
    words = {
        "better": "The {0} search found a better network than random search at equal budget",
        "worse": "Random search found a better network than the {0} search at equal budget",
        "indistinguishable": "The {0} search and random search at equal budget found indistinguishable networks",
        "untested": "The networks of the {0} search and of random search could not be tested against each other",
    }
    d = measure.digits
    text = words[row.verdict].format(source[row["first"]])
    return f"{text} (difference {signed(row.difference, d)}{interval(row.low, row.high, d, sign=True)})."


def join(names: Sequence[str]) -> str:
    """Join names to an enumeration."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
