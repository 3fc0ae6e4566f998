"""Surrogate model and acquisition of the Bayesian strategy, from scikit-optimize.

scikit-optimize takes a second or more to import, so it is imported where a model is fitted.
"""

from __future__ import annotations

import warnings
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

XI = 0.3  # the least improvement worth a trial, in standard deviations of the scores seen: about a seed's noise


def robust_losses(scores: list[float | None]) -> Floats:
    """Scores as standardised losses that a smooth model can follow.

    Scores below Tukey's lower fence (first quartile less 1.5 interquartile ranges) are lifted
    to it: one diverged trial would otherwise hide all differences among good ones. A failed
    trial gets the worst loss seen, so that its region is avoided but not a cliff.

    Parameters
    ----------
    scores : list of float or None
        Larger is better; None: failed. At least one is a number.

    Returns
    -------
    losses : ndarray, (N,)
        Smaller is better; zero mean, unit variance (all zero where the scores are equal).
    """
    seen = np.array([s for s in scores if s is not None], dtype=float)
    low, high = np.quantile(seen, [0.25, 0.75])
    fence = low - 1.5 * (high - low)
    worst = max(float(seen.min()), float(fence))
    losses = -np.array([worst if s is None else max(s, fence) for s in scores], dtype=float)
    spread = losses.std()
    return (losses - losses.mean()) / spread if spread > 0 else np.zeros_like(losses)


def rank_by_improvement(
    kind: Literal["gp", "forest"],
    x: Floats,
    rungs: NDArray[np.int_],
    losses: Floats,
    pending: Floats,
    candidates: Floats,
    seed: int,
) -> NDArray[np.intp]:
    """Order candidates by expected improvement (Jones et al. 1998), the most promising first.

    Pending points enter with the mean loss of their rung, the lowest (the constant liar of Ginsbourger et
    al. 2010), which lowers the uncertainty around them and so keeps the search from proposing there again.

    The rung of fidelity is one more feature, in which a rung weighs as much as a choice or as a factor of
    three in cost. Losses are learnt from all rungs; improvement is asked for on the highest.

    Parameters
    ----------
    kind : {"gp", "forest"}
        Gaussian process (Matern 5/2 with fitted noise) or random forest.
    x : ndarray, (N, F)
        Features of the finished steps.
    rungs : ndarray of int, (N,)
        Rung of each, from 0, which has one at least.
    losses : ndarray, (N,)
        As from :func:`robust_losses`.
    pending : ndarray, (P, F) or (0,)
        Features of the pending trials.
    candidates : ndarray, (M, F)
        Features of the candidates.
    seed : int
        Seed of the fit.

    Returns
    -------
    order : ndarray of int, (M,)
        Indices into `candidates`. Equal improvements are ordered by predicted loss, then by index.
    """
    from sklearn.exceptions import ConvergenceWarning
    from skopt.acquisition import gaussian_ei
    from threadpoolctl import threadpool_limits

    # One thread: sums in another order would change the last digits, and with them the proposal.
    with threadpool_limits(1), warnings.catch_warnings():
        # A length or a noise at its bound is an answer: the scores say no more.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = _model(kind, seed)
        lies = _on(0, pending.reshape(-1, x.shape[1]))
        lie = losses[rungs == 0].mean()
        model.fit(np.concatenate([_on(rungs, x), lies]), np.concatenate([losses, np.full(len(lies), lie)]))
        top = rungs.max()
        # The losses are noisy, so the incumbent is the best prediction, not the luckiest result.
        incumbent = float(np.min(model.predict(_on(top, x))))
        asked = _on(top, candidates)
        improvement = gaussian_ei(asked, model, y_opt=incumbent, xi=XI)
        predicted = model.predict(asked)
    return np.lexsort((predicted, -improvement))


def _on(rungs: NDArray[np.int_] | int, x: Floats) -> Floats:
    """Features with the rung as the last."""
    return np.column_stack([x, np.broadcast_to(rungs, len(x))])


def _model(kind: Literal["gp", "forest"], seed: int) -> Any:
    from skopt.learning import GaussianProcessRegressor, RandomForestRegressor
    from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern

    if kind == "forest":
        return RandomForestRegressor(n_estimators=100, min_samples_leaf=2, min_variance=1e-4, random_state=seed)
    # One length scale: with tens of features and tens of trials, one a feature only fits noise. It
    # is at least 1, the distance of two choices, so that one trial always tells of its neighbours.
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(length_scale=2.0, length_scale_bounds=(1.0, 30.0), nu=2.5)
    return GaussianProcessRegressor(
        kernel=kernel, noise="gaussian", normalize_y=True, n_restarts_optimizer=1, random_state=seed
    )
