import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from voxnas.benchmark.permutation import permutation_p
from voxnas.core.measures import MEASURES


def table(targets, predicted, folds, units=None, classes=()):
    cases = [f"case-{i:03d}" for i in range(len(targets))]
    found = pd.DataFrame({"scan": cases, "unit": cases if units is None else units, "fold": folds, "seed": "all",
                          "target": targets, "predicted": predicted})  # fmt: skip
    for name in classes:
        found[f"probability_{name}"] = (found.predicted == name) * 0.8 + 0.1
    return found


@pytest.mark.parametrize("measure", ["r", "mae"])
def test_values_that_follow_the_target_are_told_from_values_that_do_not(measure):
    rng = np.random.default_rng(0)
    target, folds = rng.normal(40, 10, 40), np.arange(40) % 5
    good = table(target, target + rng.normal(0, 3, 40), folds)
    assert permutation_p(good, MEASURES[measure], False, 0) <= 0.002
    none = table(target, rng.normal(40, 10, 40), folds)
    assert permutation_p(none, MEASURES[measure], False, 0) > 0.05
    constant = table(target, np.full(40, 40.0), folds)
    assert permutation_p(constant, MEASURES[measure], False, 0) == 1


def test_the_permuted_scores_are_widened_since_folds_share_their_trainings():
    """Without it, pure noise has p < 0.05 in 8 % of the studies; of a ridge in more."""
    rng = np.random.default_rng(3)
    folds, x, noise = np.arange(60) % 5, *rng.normal(size=(2, 60))
    found = table(0.4 * x + noise, x, folds)
    x, y = (v - pd.Series(v).groupby(folds).transform("mean") for v in (x, found.target))
    z = x @ y / np.sqrt(x @ x * (y @ y)) * np.sqrt(55)
    assert 1 < z < 3
    p = permutation_p(found, MEASURES["r"], False, 0)
    assert p == pytest.approx(norm.sf(z / np.sqrt(2)), rel=0.25) and p > 1.5 * norm.sf(z)


@pytest.mark.parametrize("measure", ["auc", "accuracy"])
def test_classes(measure):
    rng = np.random.default_rng(0)
    target = rng.permutation(["a", "b"] * 20)
    flipped = np.where(rng.random(40) < 0.15, np.where(target == "a", "b", "a"), target)
    folds = np.arange(40) % 5
    good = table(target, flipped, folds, classes=("a", "b"))
    assert permutation_p(good, MEASURES[measure], False, 0) < 0.01
    none = table(target, rng.permutation(target), folds, classes=("a", "b"))
    assert permutation_p(none, MEASURES[measure], False, 0) > 0.05


def test_a_network_that_knows_the_site_alone_is_not_better_than_chance():
    """Sites differ in target and prediction; within sites the two are unrelated."""
    rng = np.random.default_rng(0)
    sites = np.repeat(np.arange(8), 10)
    offset = np.array([0, 5] * 4)[sites]
    found = table(offset + rng.normal(size=80), offset + rng.normal(size=80), sites // 2, sites)
    assert permutation_p(found, MEASURES["r"], False, 0) > 0.05


def test_blocks_of_volumes_are_exchanged_as_a_whole():
    """Two of six blocks are right: 2 observations for each run, and not 40."""
    runs, target, predicted = (
        np.repeat(np.arange(2), 120), *(np.tile(np.repeat(list(names), 20), 2) for names in ("abcdef", "abdefc")),
    )  # fmt: skip
    found = table(target, predicted, runs, runs)
    assert permutation_p(found, MEASURES["accuracy"], False, 0) == 0.001
    assert permutation_p(found, MEASURES["accuracy"], True, 0) > 0.1


def test_the_labels_of_a_segmentation_are_not_exchangeable():
    found = pd.DataFrame({"scan": ["a", "b"], "unit": ["a", "b"], "fold": [0, 1], "seed": "all", "dice": 0.9})
    assert np.isnan(permutation_p(found, MEASURES["dice"], False, 0))


def test_units_of_one_case_each_exchange_between_folds():
    rng = np.random.default_rng(0)
    target = rng.permutation(["a", "b"] * 12)
    found = table(target, target, np.arange(24), classes=("a", "b"))
    assert permutation_p(found, MEASURES["accuracy"], False, 0) < 0.01
