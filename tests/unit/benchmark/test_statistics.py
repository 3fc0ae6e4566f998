import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from voxnas.benchmark.statistics import Bootstrap, auc_statistic, mean_statistic


def test_the_interval_of_a_mean_is_that_of_the_normal_theory():
    values = np.random.default_rng(0).normal(0.8, 0.1, (1, 400))
    interval = Bootstrap(range(400), 4000, 0.95, seed=1).score(mean_statistic(values))
    error = 1.96 * values.std(ddof=1) / 20
    assert interval.estimate == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - error, abs=0.001)
    assert interval.high == pytest.approx(values.mean() + error, abs=0.001)


def test_pairing_removes_the_spread_of_the_cases():
    rng = np.random.default_rng(0)
    cases = rng.normal(0.8, 0.2, 60)
    first, second = cases + 0.01, cases[None] + rng.normal(0, 0.001, (1, 60))
    interval = Bootstrap(range(60), 1000, 0.95, seed=1).difference(mean_statistic(first), mean_statistic(second))
    assert 0.009 < interval.low < interval.estimate < interval.high < 0.011
    assert interval.not_above == 0


def test_equal_networks_differ_by_nothing():
    values = np.random.default_rng(0).normal(size=(1, 30))
    interval = Bootstrap(range(30), 500, 0.95, seed=1).difference(mean_statistic(values), mean_statistic(values))
    assert (interval.estimate, interval.low, interval.high, interval.not_above) == (0, 0, 0, 1)


def test_seeds_widen_the_interval_even_where_cases_agree():
    values = np.array([[0.7] * 20, [0.8] * 20, [0.9] * 20])
    interval = Bootstrap(range(20), 5000, 0.95, seed=1).score(mean_statistic(values))
    # The mean of three draws from {.7, .8, .9} is .7 with probability 1/27, so the interval ends there.
    assert interval.estimate == pytest.approx(0.8)
    assert (interval.low, interval.high) == pytest.approx((0.7, 0.9))


def test_scans_of_one_participant_are_drawn_together():
    rng = np.random.default_rng(0)
    values = np.repeat(rng.normal(size=20), 5)[None]
    apart = Bootstrap(range(100), 2000, 0.95, seed=1).score(mean_statistic(values))
    together = Bootstrap(np.repeat(range(20), 5), 2000, 0.95, seed=1).score(mean_statistic(values))
    assert together.high - together.low > 1.8 * (apart.high - apart.low)  # sqrt(5) = 2.2 in the limit


def test_intervals_cover_the_truth_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = 0
    for repeat in range(200):
        cases = rng.normal(0, 1, 40)
        first = cases + 0.5 + rng.normal(0, 0.5, (1, 40))
        second = cases + rng.normal(0, 0.5, (1, 40))
        interval = Bootstrap(range(40), 400, 0.9, repeat).difference(mean_statistic(first), mean_statistic(second))
        covered += interval.low <= 0.5 <= interval.high
    assert 0.83 <= covered / 200 <= 0.96


def test_a_missing_case_does_not_count():
    interval = Bootstrap(range(3), 100, 0.95, 0).score(mean_statistic(np.array([[1.0, np.nan, 3.0]])))
    assert interval.estimate == 2


@pytest.mark.parametrize("classes", [2, 3])
def test_auc_is_that_of_scikit_learn(classes):
    rng = np.random.default_rng(0)
    targets = np.arange(40) % classes
    scores = rng.dirichlet(np.ones(classes), (2, 40)).round(2)
    scores /= scores.sum(-1, keepdims=True)
    found = auc_statistic(scores, targets)(np.ones((1, 40)))[0]
    for seed in range(2):
        shown = scores[seed, :, 1] if classes == 2 else scores[seed]
        expected = roc_auc_score(targets, shown, multi_class="ovr")
        assert found[seed] == pytest.approx(expected)


def test_auc_weights_are_repeated_cases():
    rng = np.random.default_rng(1)
    targets, p = np.arange(10) % 2, rng.random(10)
    weights = rng.integers(0, 3, 10)
    weights[:2] = 1
    found = auc_statistic(np.stack([1 - p, p], -1)[None], targets)(weights[None].astype(float))[0, 0]
    assert found == pytest.approx(roc_auc_score(np.repeat(targets, weights), np.repeat(p, weights)))


def test_auc_without_a_class_is_undefined_and_left_out():
    scores = np.stack([1 - np.linspace(0, 1, 6), np.linspace(0, 1, 6)], -1)[None]
    interval = Bootstrap(range(6), 500, 0.95, 0).score(auc_statistic(scores, np.array([0, 0, 0, 0, 0, 1])))
    assert interval.estimate == 1 and interval.low == 1 == interval.high
