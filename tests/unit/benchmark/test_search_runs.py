"""Methods are compared over three runs or not at all."""

import pandas as pd
import pytest
from scipy.stats import ttest_ind

from voxnas.benchmark.search_runs import compare_methods, runs_of_methods

SCORES = {"bayesian": (0.90, 0.92, 0.91), "random": (0.80, 0.82, 0.84)}


def board(runs):
    rows = [
        {
            "name": f"{source}-{rank}",
            "source": source,
            "validation_score": score - rank,
            "test_score": score - 0.1 * rank,
        }
        for method, scores in SCORES.items()
        for run, score in enumerate(scores[:runs])
        for source in [method if run == 0 else f"{method}-s{run + 1}"]
        for rank in (1, 2)
    ]
    return pd.DataFrame([*rows, {"name": "unet", "source": "baseline-unet", "validation_score": 2, "test_score": 2}])


def test_two_runs_compare_no_methods():
    assert compare_methods(board(2), 1, 0.95) == [] and runs_of_methods(board(2)) == {"bayesian": 2, "random": 2}


def test_three_runs_give_the_interval_of_welch():
    (found,) = compare_methods(board(3), 1, 0.95)
    low, high = ttest_ind(*SCORES.values(), equal_var=False).confidence_interval(0.95)
    assert (found.first, found.second, found.runs) == ("bayesian", "random", 3)
    assert (found.difference, found.low, found.high) == pytest.approx((0.09, low, high))
    worse = compare_methods(board(3).assign(validation_score=lambda b: -b.validation_score), -1, 0.95)[0]
    assert worse.difference == pytest.approx(-0.09)
