"""Comparison of search methods over independent runs.

A search is one draw: another seed finds another network. Intervals over test cases and training seeds do not contain
this variance, so that methods, in contrast to networks, are compared over the runs of each.
"""

from typing import NamedTuple

import pandas as pd
from scipy.stats import ttest_ind

from voxnas.benchmark.leaderboard import is_searched, without_ensembles
from voxnas.core.strategies import method_of

LEAST_RUNS = 3


class MethodDifference(NamedTuple):
    """Difference of the mean test scores of two methods with its interval; positive: the first is better."""

    first: str
    second: str
    runs: int
    difference: float
    low: float
    high: float


def compare_methods(board: pd.DataFrame, sign: int, confidence: float) -> list[MethodDifference]:
    """Compare each method with random search by Welch's t interval over the runs, on the same test cases.

    Each run is represented by its network with the best validation score. Methods with fewer than three runs are
    omitted.

    Parameters
    ----------
    board : DataFrame
        The leaderboard.
    sign : int
        1 if a larger score is better, else -1.
    confidence : float
        Nominal coverage of the intervals.
    """
    single = without_ensembles(board[board.source.map(is_searched).astype(bool)])
    best = single.assign(order=-sign * single.validation_score).sort_values("order").drop_duplicates("source")
    scores = {str(method): sign * part.test_score for method, part in best.groupby(best.source.map(method_of))}
    scores = {method: part for method, part in scores.items() if len(part) >= LEAST_RUNS}
    if "random" not in scores:
        return []
    found = []
    for method in scores.keys() - {"random"}:
        a, b = scores[method], scores["random"]
        interval = ttest_ind(a, b, equal_var=False).confidence_interval(confidence)
        found.append(
            MethodDifference(
                method, "random", min(len(a), len(b)), a.mean() - b.mean(), float(interval.low), float(interval.high)
            )
        )
    return sorted(found)


def runs_of_methods(board: pd.DataFrame) -> dict[str, int]:
    """Number of independent runs of each search method."""
    sources = sorted({source for source in board.source if is_searched(source)})
    methods = [method_of(source) for source in sources]
    return {method: methods.count(method) for method in methods}
