"""Dominance, hypervolume and its improvement, against counting and against definitions."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from voxnas.core.settings import SoftTarget
from voxnas.search.objectives import (
    best_first,
    crowding_distances,
    dominance_ranks,
    hypervolume,
    hypervolume_improvement,
    soft_constraint_reward,
    spread,
)


def test_ranks_peel_one_front_after_the_other():
    losses = np.array([[0, 3], [1, 1], [3, 0], [1, 2], [2, 2], [3, 3], [1, 1]], dtype=float)
    assert dominance_ranks(losses).tolist() == [0, 0, 0, 1, 2, 3, 0]
    assert dominance_ranks(losses[:, :1]).tolist() == [0, 1, 3, 1, 2, 3, 1]


def test_the_ends_of_a_front_come_first_then_the_lonely_points():
    front = np.array([[0.0, 1.0], [0.1, 0.9], [0.2, 0.8], [1.0, 0.0]])
    assert crowding_distances(front).tolist() == [np.inf, pytest.approx(0.4), pytest.approx(1.8), np.inf]
    dominated = np.array([[2.0, 2.0]])
    assert best_first(np.vstack([dominated, front])) == [1, 4, 3, 2, 0]


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_hypervolume_counts_the_dominated_cells(objectives):
    points = np.random.default_rng(objectives).integers(0, 6, (8, objectives)).astype(float)
    cells = itertools.product(range(5), repeat=objectives)  # unit cells by their lowest corners, below the reference 5
    dominated = sum(bool((points <= cell).all(axis=1).any()) for cell in cells)
    assert hypervolume(points, np.full(objectives, 5.0)) == dominated


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_improvement_of_known_candidates_is_the_gained_hypervolume(objectives):
    rng = np.random.default_rng(objectives)
    front, reference = rng.random((7, objectives)), np.full(objectives, 1.1)
    costs, losses = rng.random((20, objectives - 1)) * 1.2, rng.random(20)
    found = hypervolume_improvement(front, reference, costs, lambda loss: np.maximum(loss - losses, 0))
    before = hypervolume(front, reference)
    after = [hypervolume(np.vstack([front, point]), reference) for point in np.column_stack([losses, costs])]
    assert found == pytest.approx(np.array(after) - before)
    assert (found > 0).any() and (found == 0).any()


def test_expected_improvement_is_the_mean_over_draws_of_the_loss():
    rng = np.random.default_rng(0)
    front, reference, cost = rng.random((5, 2)), np.array([1.0, 1.1]), np.array([[0.3]])
    mean, deviation = 0.4, 0.2

    def expected(loss):
        u = (loss - mean) / deviation
        return np.array([deviation * (u * norm.cdf(u) + norm.pdf(u))])

    found = hypervolume_improvement(front, reference, cost, expected)[0]
    draws = rng.normal(mean, deviation, 20_000)
    gains = hypervolume_improvement(
        front, reference, np.repeat(cost, len(draws), 0), lambda f: np.maximum(f - draws, 0)
    )
    assert found == pytest.approx(gains.mean(), abs=4 * gains.std() / len(draws) ** 0.5)


def test_a_spread_begins_with_the_best_score_and_leaves_out_what_adds_nothing():
    losses = np.array([[0.0, 10.0], [0.01, 9.9], [0.3, 2.0], [1.0, 0.0], [1.0, 11.0]])
    assert spread(losses, 3) == [0, 2, 3]
    assert spread(losses, 9)[-1] == 4 and sorted(spread(losses, 9)) == [0, 1, 2, 3, 4]
    assert spread(losses[:, :1], 2)[0] == 0
    assert spread(losses, 0) == spread(losses[:0], 2) == []


@pytest.mark.parametrize(("score", "twice"), [(0.8, 0.8 / 2**0.5), (-2.0, -2.0 * 2**0.5)])
def test_a_soft_constraint_lowers_the_reward_of_costly_networks_for_scores_of_either_sign(score, twice):
    targets = {"macs": SoftTarget(value=10, exponent=0.5)}
    assert soft_constraint_reward(score, {"macs": 10}, targets) == score
    assert soft_constraint_reward(score, {"macs": 20}, targets) == pytest.approx(twice)
    assert soft_constraint_reward(score, {"macs": 5}, targets) > score
