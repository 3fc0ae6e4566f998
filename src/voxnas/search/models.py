"""Surrogates of the strategy ``voxnas``: a Gaussian process and a random forest of scikit-optimize.

Both predict the losses from the features of a candidate: coordinates of its choices, then its costs. The Gaussian
process is a sum of main effects of the choices and of a Matern kernel with a length scale for each parameter of the
space and each cost, so that it learns which of them matter. Its hyperparameters have priors, without which a fit to
ten trials would often be degenerate. They are fitted to at most 150 trials, and the process is conditioned on all.

The import of scikit-optimize takes more than a second; hence this module is imported when a model is needed.
"""

import warnings
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.exceptions import ConvergenceWarning
from skopt.learning import GaussianProcessRegressor, RandomForestRegressor
from skopt.learning.gaussian_process.kernels import ConstantKernel, DotProduct, Matern, WhiteKernel

Floats = NDArray[np.float64]

FITTED = 150  # trials to which hyperparameters are fitted
COMPARED = 10  # trials from which the models are compared
JITTER = 1e-6
SCALE, SCALE_SPREAD = 2.0, 1.0  # prior of the length scales
TREES = 50


class _GroupedMatern(Matern):
    """Matern 5/2 kernel whose length scales are shared by the columns of a group."""

    def __init__(self, groups: tuple[int, ...] = (0,), length_scale: Any = 1.0) -> None:
        super().__init__(length_scale=length_scale, length_scale_bounds=(0.1, 100.0), nu=2.5)
        self.groups = groups

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Any:
        columns = Matern(length_scale=np.asarray(self.length_scale)[list(self.groups)], nu=2.5)
        if not eval_gradient:
            return columns(X, Y)
        covariance, gradient = columns(X, Y, eval_gradient=True)
        return covariance, gradient @ np.eye(max(self.groups) + 1)[list(self.groups)]


class _ColumnsDot(DotProduct):
    """Linear kernel over the first columns of the features."""

    def __init__(self, last: int = 0) -> None:
        super().__init__(sigma_0=1.0, sigma_0_bounds="fixed")
        self.last = last

    def __call__(self, X: Floats, Y: Floats | None = None, eval_gradient: bool = False) -> Any:
        return super().__call__(X[:, : self.last], None if Y is None else Y[:, : self.last], eval_gradient)

    def diag(self, X: Floats) -> Any:
        return super().diag(X[:, : self.last])


class _Penalised(GaussianProcessRegressor):
    """Gaussian process with normal priors on the logarithms of its hyperparameters.

    They are the amplitude of the interactions, the length scales, the amplitude of the main effects, and the variance
    of the noise, for losses of unit variance.
    """

    def log_marginal_likelihood(self, theta: Any = None, eval_gradient: bool = False, clone_kernel: bool = True) -> Any:
        found = super().log_marginal_likelihood(theta, eval_gradient, clone_kernel)
        if theta is None:
            return found
        scales = len(theta) - 3
        spread = np.array([1.0, *[SCALE_SPREAD] * scales, 1.0, 1.5])
        pull = (theta - np.log([1.0, *[SCALE] * scales, 0.1, 0.05])) / spread
        penalty = float(pull @ pull) / 2
        return (found[0] - penalty, found[1] - pull / spread) if eval_gradient else found - penalty


class Model(Protocol):
    """A surrogate that is fitted to losses."""

    left_out: Floats
    """Prediction of each trial by the other trials alone, (N,)."""

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the standard deviation of the loss at points (M, F), (M,) each."""

    def draw(self, points: Floats, rng: np.random.Generator) -> Floats:
        """Return a draw of the losses at points (M, F) from their joint posterior, (M,)."""


class Process:
    """Gaussian process.

    Parameters
    ----------
    x, groups, losses, pending
        As of :func:`fit_best`.
    """

    def __init__(self, x: Floats, groups: Sequence[int], losses: Floats, pending: Floats) -> None:
        costs = x.shape[1] - len(groups)
        every = (*groups, *range(max(groups) + 1, max(groups) + 1 + costs))
        interactions = ConstantKernel(1.0, (0.05, 20.0)) * _GroupedMatern(every, np.full(max(every) + 1, SCALE))
        effects = ConstantKernel(0.1, (1e-3, 20.0)) * _ColumnsDot(len(groups))
        kernel = interactions + effects + WhiteKernel(0.05, (1e-4, 3.0))
        order = np.argsort(losses, kind="stable")
        best, rest = order[: FITTED // 2], order[FITTED // 2 :]
        some = np.sort(np.concatenate([best, rest[:: max(1, -(-len(rest) // (FITTED - len(best))))]]))
        self._model = _Penalised(kernel, noise="gaussian").fit(x[some], losses[some])
        if len(some) < len(x) or len(pending):
            self._condition(x, losses)
        self.left_out = losses - self._model.alpha_ / np.diag(self._model.K_inv_)
        if len(pending):
            # The mean of a pending trial moves no prediction and removes the variance around it.
            self._condition(np.vstack([x, pending]), np.concatenate([losses, self._model.predict(pending)]))

    def _condition(self, x: Floats, losses: Floats) -> None:
        """Condition on other trials with the present hyperparameters."""
        kernel = self._model.kernel_.k1 + WhiteKernel(self._model.noise_, (1e-5, 10.0))
        self._model = GaussianProcessRegressor(kernel, noise="gaussian", optimizer=None).fit(x, losses)

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the standard deviation (see :class:`Model`)."""
        mean, deviation = self._model.predict(points, return_std=True)
        return mean, np.maximum(deviation, JITTER)

    def draw(self, points: Floats, rng: np.random.Generator) -> Floats:
        """Return a draw from the joint posterior (see :class:`Model`)."""
        mean, covariance = self._model.predict(points, return_cov=True)
        root = np.linalg.cholesky(covariance + JITTER * np.eye(len(points)))
        found: Floats = mean + root @ rng.standard_normal(len(points))
        return found


class Forest:
    """Random forest, whose trees are draws from its posterior.

    Parameters
    ----------
    x, losses, pending, seed
        As of :func:`fit_best`.
    lies : ndarray, (P,)
        Losses assigned to the pending trials.
    """

    def __init__(self, x: Floats, losses: Floats, pending: Floats, lies: Floats, seed: int) -> None:
        options = {"n_estimators": TREES, "min_samples_leaf": 2, "min_variance": 1e-4, "random_state": seed}
        self._model = RandomForestRegressor(bootstrap=True, oob_score=True, **options)
        self._model.fit(np.vstack([x, pending]), np.concatenate([losses, lies]))
        self.left_out = self._model.oob_prediction_[: len(x)]

    def predict(self, points: Floats) -> tuple[Floats, Floats]:
        """Return the mean and the standard deviation (see :class:`Model`)."""
        mean, deviation = self._model.predict(points, return_std=True)
        return mean, deviation

    def draw(self, points: Floats, rng: np.random.Generator) -> Floats:
        """Return the prediction of one tree (see :class:`Model`)."""
        found: Floats = self._model.estimators_[rng.integers(TREES)].predict(points)
        return found


def fit_best(x: Floats, groups: Sequence[int], losses: Floats, pending: Floats, seed: int) -> Model:
    """Fit both models, and return the one whose predictions of left-out trials have the better rank correlation.

    With fewer than ten trials the Gaussian process is returned. For the forest a left-out trial is predicted by the
    trees that were fitted without it.

    Parameters
    ----------
    x : ndarray, (N, F)
        Features of the finished steps.
    groups : sequence of int
        Index of the parameter of each column of the choices, which precede those of the costs.
    losses : ndarray, (N,)
        Losses of unit variance.
    pending : ndarray, (P, F)
        Features of the pending trials.
    seed : int
        Seed of the forest.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hyperparameter at its bound is a valid fit
        warnings.filterwarnings("ignore", message="Some inputs do not have OOB scores")
        process = Process(x, groups, losses, pending)
        if len(x) < COMPARED:
            return process
        forest = Forest(x, losses, pending, process.predict(pending)[0] if len(pending) else pending[:, 0], seed)
        better = _rank_correlation(forest.left_out, losses) > _rank_correlation(process.left_out, losses)
    return forest if better else process


def _rank_correlation(predicted: Floats, losses: Floats) -> float:
    """Spearman correlation; 0 where all values of one side are equal."""
    a, b = rankdata(predicted), rankdata(losses)
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 0 and b.std() > 0 else 0.0
