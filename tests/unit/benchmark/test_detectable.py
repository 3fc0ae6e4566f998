"""The stated sizes are those at which simulated tests succeed as often as stated."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from voxnas.benchmark.detectable import (
    describe_size,
    detectable_difference,
    smallest_accuracy,
    smallest_auc,
    smallest_correlation,
)
from voxnas.core.splits import Splits


@pytest.mark.parametrize("units", [2, 3, 5, 12, 40, 400])
def test_the_difference_is_found_in_eighty_percent_of_studies(units):
    rng = np.random.default_rng(0)
    values = rng.normal(detectable_difference(units), 1, (20000, units))
    assert (stats.ttest_1samp(values, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.012)


def test_known_values():
    assert detectable_difference(34) == pytest.approx(0.495, abs=0.003)  # G*Power: n = 34 for d = 0.5
    assert smallest_accuracy(10, 0.5) == 0.9 and stats.binom.sf(8, 10, 0.5) < 0.05 < stats.binom.sf(7, 10, 0.5)
    assert smallest_accuracy(3, 0.5) is None
    assert smallest_correlation(20) == pytest.approx(0.378, abs=0.001)  # one-sided table
    assert smallest_correlation(2) is None
    assert smallest_auc(2, 1) is None and smallest_auc(0, 9) is None


def test_the_limit_of_the_auc_holds():
    rng = np.random.default_rng(1)
    positive, negative = rng.normal(size=(4000, 20, 1)), rng.normal(size=(4000, 1, 20))
    found = (positive > negative).mean((1, 2))
    assert (found >= smallest_auc(20, 20)).mean() == pytest.approx(0.05, abs=0.015)


def test_sentences_name_the_size_and_the_limits():
    scans = pd.DataFrame({"scan": [f"s{i}" for i in range(12)]}).assign(participant=lambda t: t["scan"])
    scans["target"] = ["a", "b"] * 6
    names = list(scans["scan"])
    splits = Splits(
        test=tuple(names[:4]), folds=(tuple(names[4:8]), tuple(names[8:])), units=dict(zip(names, names, strict=True))
    )
    said = " ".join(describe_size(scans, splits, "classification", True))
    assert "4 scans of 4 participants; 2 folds have 4 participants each" in said
    assert "too few for an interval" in said and "0.50 by chance; no accuracy is significantly better" in said
    said = " ".join(describe_size(scans, splits, "regression", True))
    assert "correlation is 0.90" in said and "Dice" not in said
    assert "Dice if that is 0.015" in " ".join(describe_size(scans, splits, "segmentation", True))
    unknown = " ".join(describe_size(scans, splits, "segmentation", False))
    assert "has 4 scans; 2 folds have 4 scans each" in unknown and "participant" not in unknown
