"""Prediction of learning curves."""

import numpy as np
import pytest

from voxnas.search.curves import forecast

SHARES = np.arange(1, 13) / 12


def curves_of(count, seed=0, noise=0.004, rate=0.5):
    """Power laws whose gain is the larger the better the end; half of them end after a quarter."""
    rng = np.random.default_rng(seed)
    ends = rng.normal(0.8, 0.05, count)
    gains = 0.2 + 0.5 * (ends - 0.8) + rng.normal(0, 0.02, count)
    shape = (SHARES**-rate - 1) / (SHARES[0] ** -rate - 1)
    scores = ends[:, None] - gains[:, None] * shape + noise * rng.normal(size=(count, len(SHARES)))
    complete = np.arange(count) % 2 == 0
    cut = [list(zip(SHARES, row, strict=True))[: 12 if c else 3] for row, c in zip(scores, complete, strict=True)]
    return cut, ends, ~complete


def test_the_ends_are_predicted_better_than_by_the_last_scores_and_within_their_uncertainty():
    curves, ends, cut = curves_of(60)
    found = forecast(curves)
    errors = np.abs(found.mean - ends)[cut]
    last = np.abs([curve[-1][1] for curve in curves] - ends)[cut]
    assert errors.mean() < 0.2 * last.mean()
    assert np.corrcoef(found.mean[cut], ends[cut])[0, 1] > 0.9
    assert 0.7 < (errors < 1.65 * found.deviation[cut]).mean() <= 1
    assert found.noise == pytest.approx(0.004, rel=0.5)
    assert found.deviation[~cut].mean() < 0.5 * found.deviation[cut].mean()


def test_curves_of_one_score_follow_the_relation_in_the_complete_ones():
    """With two fidelities the prediction is nearly the regression of the late on the early scores."""
    rng = np.random.default_rng(1)
    early = rng.normal(40, 4, 60)
    late = 30 + early + rng.normal(0, 0.5, 60)
    curves = [[(0.06, e), (1.0, f)][: 2 if i < 15 else 1] for i, (e, f) in enumerate(zip(early, late, strict=True))]
    errors = forecast(curves).mean[15:] - late[15:]
    assert np.abs(errors).mean() < 1.5


def test_crossing_curves_are_told_apart():
    """The flat curve is ahead when the other is cut, and behind at the end."""
    curves, _, _ = curves_of(20)
    steep = [(u, 0.8 - 0.3 * (u**-0.5 - 1) / (SHARES[0] ** -0.5 - 1)) for u in SHARES[:6]]
    flat = [(u, 0.75 + 0.0 * u) for u in SHARES[:6]]
    assert steep[-1][1] < flat[-1][1]
    found = forecast([*curves, steep, flat]).mean
    assert found[-2] > found[-1]


def test_the_order_and_the_scale_of_the_scores_do_not_matter():
    curves, _, _ = curves_of(9)
    found = forecast(curves)
    assert forecast(curves[::-1]).mean == pytest.approx(found.mean[::-1])
    scaled = forecast([[(u, 100 * score - 3000) for u, score in curve] for curve in curves])
    assert scaled.mean == pytest.approx(100 * found.mean - 3000)
    assert scaled.deviation == pytest.approx(100 * found.deviation)


@pytest.mark.parametrize(
    "curves",
    [[[(0.1, 0.5)]], [[(0.1, 0.5)]] * 5, [[(1.0, 0.5)], [(1.0, 0.6)]], [[(0.1, -1e6)], [(0.1, 0.5)], [(0.1, 0.6)]]],
    ids=["one", "equal", "complete", "a disaster"],
)
def test_few_or_odd_curves_have_finite_predictions(curves):
    found = forecast(curves)
    assert np.isfinite([*found.mean, *found.deviation, found.noise]).all()
    assert (found.deviation > 0).all()
