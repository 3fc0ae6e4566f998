"""Surrogate model and acquisition function of the Bayesian strategy, from scikit-optimize.

The import of scikit-optimize takes more than a second and is deferred until a model is fitted.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

XI = 0.3  # minimum improvement in standard deviations of the scores: about the variation between seeds


def robust_losses(scores: Sequence[float | None]) -> Floats:
    """Convert scores to standardised losses without outliers.

    Scores below Tukey's lower fence (first quartile minus 1.5 interquartile ranges) are clipped to it, since one
    diverged trial would otherwise mask all differences among good trials. A failed trial is assigned the worst
    observed loss, so that its region is avoided without a discontinuity.

    Parameters
    ----------
    scores : sequence of float or None
        Larger is better; None for a failed trial. At least one is a number.

    Returns
    -------
    losses : ndarray, (N,)
        Smaller is better; zero mean, unit variance (all zero where the scores are equal).
    """

    def fence(seen: Floats) -> float:
        low, high = np.quantile(seen, [0.25, 0.75])
        return float(low - 1.5 * (high - low))

    return clipped_losses(scores, fence)


def clipped_losses(scores: Sequence[float | None], fence_of: Callable[[Floats], float]) -> Floats:
    """Convert scores to standardised losses; a score below a fence is clipped to it, and a failure is the worst score.

    Parameters
    ----------
    scores : sequence of float or None
        As of :func:`robust_losses`.
    fence_of : callable
        Returns the fence of the scores that are numbers.
    """
    seen = np.array([s for s in scores if s is not None], dtype=float)
    fence = fence_of(seen)
    worst = max(float(seen.min()), fence)
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
    """Order candidates by expected improvement (Jones et al. 1998), the largest first.

    Pending points are assigned the mean loss of their rung, the lowest (constant liar, Ginsbourger et al. 2010). This
    reduces the uncertainty around them and keeps the search from proposing there again.

    The rung of fidelity is an additional feature. One rung has the same weight as one choice, or as a factor of three
    in cost. The model is fitted to the losses of all rungs; the improvement is computed for the highest rung.

    Parameters
    ----------
    kind : {"gp", "forest"}
        Gaussian process (Matern 5/2 with fitted noise) or random forest.
    x : ndarray, (N, F)
        Features of the finished steps.
    rungs : ndarray of int, (N,)
        Rung of each finished step, from 0.
    losses : ndarray, (N,)
        Losses from :func:`robust_losses`.
    pending : ndarray, (P, F) or (0,)
        Features of the pending trials.
    candidates : ndarray, (M, F)
        Features of the candidates.
    seed : int
        Seed of the fit.

    Returns
    -------
    order : ndarray of int, (M,)
        Indices into `candidates`. Ties are resolved by the predicted loss, then by the index.
    """
    from sklearn.exceptions import ConvergenceWarning
    from skopt.acquisition import gaussian_ei
    from threadpoolctl import threadpool_limits

    # With one thread the order of summation is fixed, and with it the proposal.
    with threadpool_limits(1), warnings.catch_warnings():
        # A length scale or a noise level at its bound is a valid fit.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = _model(kind, seed)
        lies = _on(rungs.min(), pending.reshape(-1, x.shape[1]))
        lie = losses[rungs == rungs.min()].mean()
        model.fit(np.concatenate([_on(rungs, x), lies]), np.concatenate([losses, np.full(len(lies), lie)]))
        top = rungs.max()
        # The losses are noisy, so the incumbent is the best prediction and not the best observation.
        incumbent = float(np.min(model.predict(_on(top, x))))
        points = _on(top, candidates)
        improvement = gaussian_ei(points, model, y_opt=incumbent, xi=XI)
        predicted = model.predict(points)
    return np.lexsort((predicted, -improvement))


def predict_losses(x: Floats, losses: Floats, candidates: Floats, seed: int) -> Floats:
    """Predict the losses of candidates by a random forest.

    Parameters
    ----------
    x : ndarray, (N, F)
        Features of the trials.
    losses : ndarray, (N,)
        Losses of the trials.
    candidates : ndarray, (M, F)
        Features of the candidates.
    seed : int
        Seed of the forest.

    Returns
    -------
    losses : ndarray, (M,)
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        found: Floats = _model("forest", seed).fit(x, losses).predict(candidates)
    return found


def _on(rungs: NDArray[np.int_] | int, x: Floats) -> Floats:
    """Append the rung to the features."""
    return np.column_stack([x, np.broadcast_to(rungs, len(x))])


def _model(kind: Literal["gp", "forest"], seed: int) -> Any:
    from skopt.learning import GaussianProcessRegressor, RandomForestRegressor
    from skopt.learning.gaussian_process.kernels import ConstantKernel, Matern

    if kind == "forest":
        return RandomForestRegressor(n_estimators=100, min_samples_leaf=2, min_variance=1e-4, random_state=seed)
    # A single length scale: with tens of features and tens of trials, one per feature would fit noise. It is at least
    # 1, the distance between two choices, so that every trial informs about its neighbours.
    kernel = ConstantKernel(1.0, (0.05, 20.0)) * Matern(length_scale=2.0, length_scale_bounds=(1.0, 30.0), nu=2.5)
    return GaussianProcessRegressor(
        kernel=kernel, noise="gaussian", normalize_y=True, n_restarts_optimizer=1, random_state=seed
    )
