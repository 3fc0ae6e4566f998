"""The result of a study as sentences, including unfavourable comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from voxnas.benchmark.costs import CostRatio
from voxnas.benchmark.leaderboard import without_ensembles
from voxnas.benchmark.search_runs import LEAST_RUNS, MethodDifference, compare_methods
from voxnas.core.measures import Measure
from voxnas.core.splits import Splits
from voxnas.core.strategies import method_of
from voxnas.core.trial import LINEAR
from voxnas.io.tables import table_rows
from voxnas.report.tables import difference_statement, duration, interval, number, p_statement, quantity, signed

SHORT_SECONDS = 3600  # a training of less CPU time is stated in the headline
ADJUSTED = "The p-values of these comparisons are adjusted by Holm's method."


def headline(
    board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure, confidence: float, unit: str, over: str
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
    over : str
        Independent unit of the intervals (:func:`independent_unit`): a scan if the participants are unknown.
    """
    winner = board[board.winner].iloc[0]
    d = measure.digits
    of = tested_units(winner, unit, over)
    within = f"{confidence:.0%} interval{interval(winner.low, winner.high, d)}"
    within += f", {winner.note}" if winner.note else ""
    reliable = (within if pd.notna(winner.low) else winner.note) + against_chance(winner, d)
    reached = (
        f"On {winner.scans:.0f} locked test {unit}s{of} {winner['name']} reaches {measure.article} {measure.title} "
        f"of {number(winner.test_score, d)} ({reliable}) "
        f"with {quantity(winner.parameters)} parameters."
    )
    parts = [against_linear(board, comparisons, measure), reached]
    parts += [duration_of_training(board)]
    if is_hand_made(winner.source):
        parts += ["It has the best validation score of this study, which has no search."]
        parts += [against_baselines(board, comparisons)]
    else:
        parts += [origin(winner), against_baselines(board, comparisons)]
        parts += [against_random(board, comparisons, measure, confidence)]
    return " ".join(part for part in parts if part)


def tested_units(row: pd.Series, unit: str, over: str) -> str:
    """State the number of independent units of a score, `` of 6 participants``; empty if each `unit` is one.

    Examples
    --------
    >>> tested_units(pd.Series({"units": 8, "participants": 4}), "scan", "session")
    ' of 8 sessions (4 participants)'
    """
    people = "" if over in ("participant", "scan") else f" ({row.participants:.0f} participants)"
    return people if over == unit else f" of {row.units:.0f} {over}s{people}"


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
        f"{words[row.verdict]} {difference_statement(row, d)}."
    )


def independent_unit(splits: Splits, dataset: Mapping[str, Any]) -> str:
    """Return the independent unit of a study: the unit of its splits, or a scan if its participants are unknown."""
    return splits.unit if dataset["identified"] or splits.unit != "participant" else "scan"


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
    return without_ensembles(board[board.source.map(is_hand_made).astype(bool)])


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
        return f"It beats every {kind} network ({join(said['better'])}). {ADJUSTED}"
    words = {
        "better": "It beats {}.",
        "indistinguishable": "This test cannot distinguish it from {}.",
        "worse": "It is worse than {}.",
        "untested": "It could not be tested against {}.",
    }
    adjusted = [ADJUSTED] if said.keys() - {"untested"} else []
    return " ".join([*(words[kind].format(join(said[kind])) for kind in words if kind in said), *adjusted])


def against_chance(row: pd.Series, digits: int) -> str:
    """State the chance level of a classification and the test against it; an empty string for other tasks."""
    if "chance_p" not in row:
        return ""
    return f"; chance level {number(row.chance, digits)}, {p_statement(row.chance_p)} by permutation"


def origin(row: pd.Series) -> str:
    """State which step of its search began the trial of a network, and how the step was chosen."""
    words = {
        "start": "the given hand-made plan",
        "design": "a point of the initial design, before any score was known to the model",
        "surrogate": "proposed by the surrogate model",
        "random": "a random draw",
    }
    if "origin" not in row or pd.isna(row.origin) or not row.origin:
        return ""
    return f"It is step {row.step:.0f} of the search {row.source}: {words.get(row.origin, f'origin {row.origin}')}."


def duration_of_training(board: pd.DataFrame) -> str:
    """State the measured CPU time of a training of the winner if it is less than an hour; else an empty string."""
    winner, seeds = board[board.winner].iloc[0], board.members.max()
    seconds = winner.train_seconds_measured / seeds
    if winner.source == LINEAR or not 0 < seconds < SHORT_SECONDS:
        return ""
    return f"Each of its trainings took {duration(seconds)} of CPU time; longer trainings may order networks otherwise."


def cost_sentences(ratios: Sequence[CostRatio]) -> list[str]:
    """Compare the measured cost of searched and of hand-made networks."""
    words = {
        "search": "A search of a method took {0} CPU seconds, a search of the recipes of a hand-made network {1}",
        "training": "The final trainings of a searched network took {0} CPU seconds, of a hand-made network {1}",
    }
    return [
        words[r.what].format(f"{r.searched:,.0f}", f"{r.hand_made:,.0f}") + f" (measured means; ratio {r.ratio:.2f})."
        for r in ratios
    ]


def basis_sentence(found: Mapping[str, Any]) -> str:
    """State the processor, the samples of the budgets, and the number of independent runs of a study."""
    samples, runs = list(found["samples"].values()), found["search_runs"]
    parts = [f"Final trainings ran on {join(found['processors']) if found['processors'] else 'an unknown processor'}"]
    if samples:
        span = f"{min(samples)}" if min(samples) == max(samples) else f"{min(samples)} to {max(samples)}"
        parts.append(f"their budget is {span} samples")
    parts.append(f"each network has {found['seeds']} training seed{'s' if found['seeds'] != 1 else ''}")
    if runs:
        fewest = min(runs.values())
        parts.append(f"each search method was run {'once' if fewest == 1 else f'{fewest} times'}")
    return "; ".join(parts) + "."


def against_random(board: pd.DataFrame, comparisons: pd.DataFrame, measure: Measure, confidence: float) -> str:
    """Compare the other search methods with random search; with less than three runs of each, only their networks."""
    compared = compare_methods(board, measure.sign, confidence)
    if compared:
        return " ".join(_between_methods(one, measure) for one in compared)
    rows = comparisons[comparisons.comparison == "methods"]
    source = dict(zip(board.name, board.source, strict=True))
    rows = rows[[method_of(source.get(name, "")) == "random" for name in rows.second]]
    if rows.empty:
        return "The study contains no random search for comparison."
    row = rows.iloc[0]
    words = {
        "better": "In this run the {0} search found a better network than random search at equal budget",
        "worse": "In this run random search found a better network than the {0} search at equal budget",
        "indistinguishable": "In this run the {0} search and random search at equal budget found indistinguishable "
        "networks",
        "untested": "The networks of the {0} search and of random search could not be tested against each other",
    }
    text = words[row.verdict].format(method_of(source[row["first"]]))
    least = f"A statement about the methods needs at least {LEAST_RUNS} runs of each."
    return f"{text} {difference_statement(row, measure.digits)}. {least}"


def _between_methods(one: MethodDifference, measure: Measure) -> str:
    d = measure.digits
    between = f"(difference {signed(one.difference, d)}{interval(one.low, one.high, d, sign=True)})"
    over = f"over {one.runs} runs of each, on the test cases of this study {between}."
    if one.low <= 0 <= one.high:
        return (
            f"The networks of the {one.first} and of {one.second} search at equal budget are indistinguishable {over}"
        )
    what = "better" if one.low > 0 else "worse"
    return f"The {one.first} search finds {what} networks than {one.second} search at equal budget {over}"


def join(names: Sequence[str]) -> str:
    """Join names to an enumeration."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
