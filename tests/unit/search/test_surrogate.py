import numpy as np
import pytest

from voxnas.search.surrogate import rank_by_improvement, robust_losses


def test_losses_are_standardised_and_reversed():
    losses = robust_losses([0.8, 0.9, 0.85, 0.7])
    assert losses.mean() == pytest.approx(0)
    assert losses.std() == pytest.approx(1)
    assert losses.argmin() == 1


def test_a_failure_counts_as_the_worst_seen():
    losses = robust_losses([0.8, None, 0.9, 0.85, 0.82])
    assert losses[1] == losses[0] == losses.max()


def test_one_disaster_does_not_hide_the_differences_among_the_good():
    good = [0.85, 0.86, 0.84, 0.87, 0.855, 0.865, 0.845]
    losses = robust_losses([*good, 0.0])
    assert losses.argmax() == 7
    assert np.ptp(losses[:7]) > 1  # it would be 0.1 without the fence


@pytest.mark.parametrize("scores", [[0.5] * 4, [0.5, None], [0.5]])
def test_equal_scores_say_nothing(scores):
    assert np.array_equal(robust_losses(scores), np.zeros(len(scores)))


@pytest.mark.parametrize("kind", ["gp", "forest"])
def test_the_best_candidate_lies_where_the_losses_fall(kind):
    rng = np.random.default_rng(0)
    x = rng.random((40, 1))
    losses = robust_losses(list(x[:, 0] + rng.normal(0, 0.2, 40)))
    candidates = np.array([[0.05], [0.3], [0.95], [0.5]])
    assert rank_by_improvement(kind, x, losses, np.empty((0, 1)), candidates, 0)[0] == 2


def test_a_pending_point_sends_the_search_elsewhere():
    x = np.array([[0.0], [2.0], [4.0], [6.0], [8.0]])
    losses = np.array([1.2, 0.2, -1.8, 0.3, 0.1])
    candidates = np.array([[4.6], [3.4]])
    free = rank_by_improvement("gp", x, losses, np.empty((0, 1)), candidates, 0)[0]
    taken = rank_by_improvement("gp", x, losses, candidates[[free]], candidates, 0)[0]
    assert taken != free


def test_order_is_complete_and_repeatable():
    rng = np.random.default_rng(0)
    x, candidates = rng.random((10, 3)), rng.random((50, 3))
    losses = robust_losses(list(rng.random(10)))
    orders = [rank_by_improvement("gp", x, losses, x[:2], candidates, 3).tolist() for _ in range(2)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(50))
