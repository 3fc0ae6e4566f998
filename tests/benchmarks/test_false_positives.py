"""The simulated study passes through the project's own selection and tables."""

import numpy as np
from false_positives import noise_p, simulate_study

from voxnas.benchmark.cross_validation import SELECTED, cross_validation
from voxnas.benchmark.leaderboard import benchmark


def test_a_simulated_study_has_both_tables(tmp_path):
    paths = simulate_study(tmp_path / "study", 5, 4, np.random.default_rng(0))
    board, comparisons = benchmark(paths)
    assert set(board.name) >= {"bayesian-1", "random-1", "unet"} and len(comparisons)
    folds = cross_validation(paths).set_index("name")
    assert folds.folds[SELECTED] == 4 and np.isfinite(folds.p_difference["unet"])
    assert np.isnan(folds.p_difference[["bayesian-1", "random-1"]]).all()


def test_pure_noise_is_rarely_better_than_chance():
    rng = np.random.default_rng(0)
    p = [noise_p(24, 4, "r", rng) for _ in range(8)]
    assert min(p) > 0 and np.mean(np.array(p) < 0.05) <= 0.25
