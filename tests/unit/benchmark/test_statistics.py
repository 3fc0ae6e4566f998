import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from voxnas.benchmark.statistics import (
    Comparison,
    auc_statistic,
    correlation_statistic,
    holm,
    mean_statistic,
    quantile,
    standard_error,
    tail,
    verdict,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def test_the_interval_and_p_of_one_seed_are_those_of_the_t_test():
    first, second = rng().normal(0.1, 1, 30), rng(1).normal(0, 1, 30)
    found = Comparison(range(30), 0.95).difference(mean_statistic(first), mean_statistic(second))
    expected = stats.ttest_rel(first, second)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p == pytest.approx(expected.pvalue) and found.note == "for this training only"


def test_the_standard_error_is_that_of_crossed_random_effects():
    # Units 0, 2, 4 and seeds 0, 10, 20 without interaction: mean squares 3 * 4 and 3 * 100, and 0.
    values = np.array([0.0, 10, 20])[:, None] + np.array([0.0, 2, 4])
    error, of_seeds = standard_error(values)
    assert error**2 == pytest.approx((12 + 300) / 9) and of_seeds == pytest.approx(300 / 312)
    # Without spread of the seeds, units alone remain.
    error, of_seeds = standard_error(np.tile([0.0, 2, 4], (3, 1)))
    assert error**2 == pytest.approx(12 / 9) and of_seeds == 0


def test_the_quantile_lies_between_those_of_seeds_and_units_and_the_tail_inverts_it():
    assert quantile(0.025, 0.0, 3, 20) == pytest.approx(stats.t.isf(0.025, 19))
    assert quantile(0.025, 1.0, 3, 20) == pytest.approx(stats.t.isf(0.025, 2))
    assert quantile(0.025, 0.5, 3, 20) == pytest.approx((stats.t.isf(0.025, 19) + stats.t.isf(0.025, 2)) / 2)
    for level in (1e-12, 0.01, 0.4999, 0.5):
        for part in (0.0, 0.3, 1.0):
            assert tail(quantile(level, part, 3, 20), part, 3, 20) == pytest.approx(level, rel=1e-6)
    assert 0 < tail(1e200, 0.3, 3, 20) < 1e-50


def test_pairing_removes_the_spread_of_the_cases_and_of_the_folds():
    cases, folds = rng().normal(0.8, 0.2, 60), rng(1).normal(0, 0.05, (5, 1))
    noise = rng(2).normal(0, 0.001, (2, 5, 60))
    first, second = cases + folds + noise[0] + 0.01, cases + folds + noise[1]
    comparison = Comparison(range(60), 0.95)
    found = comparison.difference(mean_statistic(first), mean_statistic(second))
    assert 0.009 < found.low < found.estimate < found.high < 0.011 and found.p < 1e-6
    assert comparison.score(mean_statistic(first)).high - comparison.score(mean_statistic(first)).low > 0.1


@pytest.mark.parametrize("order", [1, -1])
def test_the_seeds_of_both_networks_widen_the_interval(order):
    steady, moving = np.full((3, 20), 0.5), np.full((3, 20), 0.5) + np.array([[-0.1], [0], [0.1]])
    pair = [mean_statistic(v + rng().normal(0, 0.001, (3, 20))) for v in (steady, moving)][::order]
    found = Comparison(range(20), 0.95).difference(*pair)
    reach = stats.t.ppf(0.975, 2) * 0.1 / np.sqrt(3)
    assert (found.high - found.low) / 2 == pytest.approx(reach, rel=0.02)


def test_an_ensemble_is_compared_with_each_seed():
    seeds, ensemble = rng().normal(0, 1, (3, 20)), rng(1).normal(0.2, 1, (1, 20))
    comparison = Comparison(range(20), 0.95)
    found = comparison.difference(mean_statistic(ensemble), mean_statistic(seeds))
    again = comparison.difference(mean_statistic(np.tile(ensemble, (3, 1))), mean_statistic(seeds))
    assert (found.low, found.high, found.p) == pytest.approx((again.low, again.high, again.p))


def test_scans_of_one_unit_count_as_one():
    values = rng().normal(size=20)
    once = Comparison(range(20), 0.95).score(mean_statistic(values))
    five = Comparison(np.repeat(range(20), 5), 0.95).score(mean_statistic(np.repeat(values, 5)))
    assert (five.low, five.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize(
    ("units", "values", "note"),
    [
        (np.repeat(range(4), 10), rng().random((3, 40)), "no interval: fewer than 5 independent units"),
        (range(40), np.ones((3, 40)), "no interval: the score does not vary between the units"),
        (range(40), rng().random((2, 40)), "for these trainings only"),
        (range(40), rng().random((3, 40)), ""),
    ],
)
def test_the_note_says_what_an_interval_lacks(units, values, note):
    for found in (
        Comparison(units, 0.95).score(mean_statistic(values)),
        Comparison(units, 0.95).difference(mean_statistic(values), mean_statistic(np.zeros((3, 40))[: len(values)])),
    ):
        assert found.note == note and np.isfinite(found.low) == ("no interval" not in note)
        assert found.estimate == pytest.approx(values.mean())


def test_intervals_stay_within_the_range_of_the_measure():
    comparison = Comparison(range(6), 0.95)
    share = comparison.score(mean_statistic(np.array([1, 1, 1, 1, 1, 0.9]), "share"))
    assert 0 < share.low < share.estimate < share.high < 1
    right, wrong = np.array([1, 1, 1, 1, 1, 0.0]), np.array([0, 0, 0, 0, 0, 0.0])
    assert comparison.difference(mean_statistic(right, "share"), mean_statistic(wrong, "share")).high == 1
    error = comparison.score(mean_statistic(np.array([0.1, 0.1, 0.1, 0.1, 0.1, 9]), "positive"))
    assert 0 < error.low < error.estimate < error.high
    x = np.arange(6.0)
    r = comparison.score(correlation_statistic(x + np.array([0.1, -0.1, 0.1, -0.1, 0.1, 0.5]), x))
    assert -1 < r.low < r.estimate < r.high < 1


def test_a_missing_case_does_not_count():
    assert Comparison(range(3), 0.95).score(mean_statistic(np.array([[1.0, np.nan, 3.0]]))).estimate == 2


@pytest.mark.parametrize("classes", [2, 3])
def test_auc_is_that_of_scikit_learn(classes):
    targets = np.arange(40) % classes
    scores = rng().dirichlet(np.ones(classes), (2, 40)).round(2)
    scores /= scores.sum(-1, keepdims=True)
    found = auc_statistic(scores, targets)(np.ones((1, 40)))[0]
    for seed in range(2):
        shown = scores[seed, :, 1] if classes == 2 else scores[seed]
        assert found[seed] == pytest.approx(roc_auc_score(targets, shown, multi_class="ovr"))


def test_auc_weights_are_repeated_cases():
    targets, p = np.arange(10) % 2, rng(1).random(10)
    weights = rng(2).integers(0, 3, 10)
    weights[:2] = 1
    found = auc_statistic(np.stack([1 - p, p], -1)[None], targets)(weights[None].astype(float))[0, 0]
    assert found == pytest.approx(roc_auc_score(np.repeat(targets, weights), np.repeat(p, weights)))


def test_an_auc_that_rests_on_one_unit_has_no_interval():
    scores = np.stack([1 - np.linspace(0, 1, 6), np.linspace(0, 1, 6)], -1)[None]
    found = Comparison(range(6), 0.95).score(auc_statistic(scores, np.array([0, 0, 0, 0, 0, 1])))
    assert found.estimate == 1 and np.isnan(found.low) and "undefined" in found.note


def test_holm_and_the_verdict():
    assert holm([0.01, 0.04, 0.03, np.nan]) == pytest.approx([0.03, 0.06, 0.06, np.nan], nan_ok=True)
    assert holm([0.5, 0.9]).tolist() == [1, 1] and holm([]).size == 0
    words = [verdict(d, p, 0.95) for d, p in ((1, 0.04), (-1, 0.04), (1, 0.06), (1, np.nan))]
    assert words == ["better", "worse", "indistinguishable", "untested"]


@pytest.fixture(scope="module")
def simulation():
    """Names of benchmarks/coverage.py."""
    return runpy.run_path(str(Path(__file__).parents[3] / "benchmarks/coverage.py"))


@pytest.mark.parametrize(
    ("regime", "arguments"),
    [
        ("mean_dice", (3, 20, 0.02)),
        ("dice_difference", (3, 40, 0.008)),
        ("dice_difference", (5, 10, 0.008)),
        ("grouped_dice", ("sites", 5, 25, 15, 0.05)),
        ("auc", (0.85, 40)),
        ("auc_of_sites", (8,)),
        ("correlation", (0.5, 20)),
        ("accuracy", (0.8, 40)),
        ("mean_error", (10,)),
    ],
    ids=str,
)
def test_intervals_cover_the_truth_as_often_as_they_say(simulation, regime, arguments):
    row = simulation["measure"](simulation[regime](*arguments), 300, 1)
    assert row["printed"] > 0.9 and 0.905 <= row["coverage"] <= 0.985


def test_three_sites_have_no_interval(simulation):
    assert simulation["measure"](simulation["grouped_dice"]("sites", 3, 25, 15, 0.05), 20, 1)["printed"] == 0
