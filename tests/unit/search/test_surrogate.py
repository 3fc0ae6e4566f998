import numpy as np
import pytest

from voxnas.search import surrogate
from voxnas.search.surrogate import rank_by_improvement, robust_losses


def rung(number, x):
    return np.full(len(x), number)


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
    assert rank_by_improvement(kind, x, rung(0, x), losses, np.empty((0, 1)), candidates, 0)[0] == 2


def test_a_pending_point_sends_the_search_elsewhere():
    x = np.array([[0.0], [2.0], [4.0], [6.0], [8.0]])
    losses = np.array([1.2, 0.2, -1.8, 0.3, 0.1])
    candidates = np.array([[4.6], [3.4]])
    free = rank_by_improvement("gp", x, rung(0, x), losses, np.empty((0, 1)), candidates, 0)[0]
    taken = rank_by_improvement("gp", x, rung(0, x), losses, candidates[[free]], candidates, 0)[0]
    assert taken != free


def test_order_is_complete_and_repeatable():
    rng = np.random.default_rng(0)
    x, candidates = rng.random((10, 3)), rng.random((50, 3))
    losses = robust_losses(list(rng.random(10)))
    orders = [rank_by_improvement("gp", x, rung(0, x), losses, x[:2], candidates, 3).tolist() for _ in range(2)]
    assert orders[0] == orders[1]
    assert sorted(orders[0]) == list(range(50))


@pytest.mark.parametrize("kind", ["gp", "forest"])
def test_long_trainings_outweigh_short_ones_that_say_the_contrary(kind):
    rng = np.random.default_rng(0)
    # Short trainings favour small networks, and all their scores are lower; five long ones favour large.
    short = rng.random((25, 1)) * 6
    long = np.array([[0.5], [2.0], [3.0], [4.5], [5.5]])
    scores = [*(0.6 - 0.02 * short[:, 0]), *(0.8 + 0.02 * long[:, 0])]
    candidates = np.array([[0.2], [1.5], [3.5], [5.8]])
    none, rungs = np.empty((0, 1)), np.repeat([0, 1], [25, 5])
    order = rank_by_improvement(
        kind, np.concatenate([short, long]), rungs, robust_losses(scores), none, candidates, 0
    ).tolist()
    alone = rank_by_improvement(kind, short, rungs[:25], robust_losses(scores[:25]), none, candidates, 0).tolist()
    assert alone[0] == 0
    assert order[0] == 3


def test_short_trainings_tell_where_the_long_ones_have_not_been():
    x = np.linspace(0, 12, 25)[:, None]
    scores = list(0.6 - 0.01 * (x[:, 0] - 9) ** 2)
    far = np.array([[1.0], [2.0]])  # long trainings, both far from the best of the short ones
    candidates = np.array([[0.2], [5.0], [9.2]])
    order = rank_by_improvement(
        "gp", np.concatenate([x, far]), np.repeat([0, 1], [25, 2]),
        robust_losses([*scores, 0.2, 0.3]), np.empty((0, 1)), candidates, 0,
    )  # fmt: skip
    assert order[0] == 2


def test_the_incumbent_is_the_best_prediction_and_the_lie_the_mean_of_its_rung(monkeypatch):
    seen = {}

    class Model:
        """Predicts a quarter of the first feature."""

        def fit(self, x, y):
            seen["fitted"] = y.tolist()

        def predict(self, x):
            return x[:, 0] / 4

    def improvement(points, model, y_opt, xi):
        seen["incumbent"] = y_opt
        return np.zeros(len(points))

    monkeypatch.setattr(surrogate, "_model", lambda kind, seed: Model())
    monkeypatch.setattr("skopt.acquisition.gaussian_ei", improvement)
    x, losses, rungs = np.array([[-2.0], [0.0], [1.0], [3.0]]), np.array([1.0, -2.0, 0.4, -3.0]), np.array([0, 0, 0, 1])
    rank_by_improvement("gp", x, rungs, losses, np.array([[5.0]]), np.zeros((2, 1)), 0)
    assert seen["incumbent"] == -0.5
    assert seen["fitted"] == [1.0, -2.0, 0.4, -3.0, pytest.approx(-0.2)]
