"""Learning curves: the score of a training at its full budget, predicted from the scores so far.

A curve is ``y(u) = a - b g(u) + noise`` at the share u of the full budget, where g falls from 1 at the first validation
to 0 at u = 1. Hence a is the score at full budget, and b the gain since the first validation. The shapes g are power
laws and exponentials, two of the forms of Domhan et al. (2015). The asymptotes of exponential curves have a joint prior
in freeze-thaw Bayesian optimisation (Swersky et al. 2014); here (a, b) has a normal prior, which is
estimated from all curves of the search. A curve with a single score is therefore predicted by the relation of early and
late scores in the other curves. All integrals have a closed form, so that the result needs no sampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
POWERS = (0.25, 0.5, 1.0)  # exponents of the power laws
RATES = (2.0, 4.0, 8.0)  # rates of the exponentials, in 1 / full budget
ROUNDS = 50  # of the estimation of the prior from the longest curves, and then from all
BELIEF, VAGUE = 1.0, 0.1  # curves as which prior beliefs about the variances and about the means of (a, b) count
SPREAD = np.diag([1.0, 0.25])  # believed covariance of (a, b), of standardised scores
LOWEST = -10.0  # standardised scores below are clipped: the first scores of a training may be of another order
NOISE = 0.05  # believed variance of the noise


@dataclass(frozen=True)
class Forecast:
    """Scores at full budget, normally distributed.

    Attributes
    ----------
    mean, deviation : ndarray, (N,)
        Of the score without the noise of a single validation.
    noise : float
        Standard deviation of this noise.
    """

    mean: Floats
    deviation: Floats
    noise: float


def forecast(curves: Sequence[Sequence[tuple[float, float]]]) -> Forecast:
    """Predict the last scores of learning curves that are compared with each other.

    Parameters
    ----------
    curves : sequence of curves, each a sequence of (share, score)
        Shares of the full budget, in (0, 1] and increasing; at least one score in each curve. Larger scores are better.

    Returns
    -------
    forecast : Forecast
        A mixture over the shapes, given by its mean and standard deviation. It does not depend on the order of the
        curves beyond rounding errors.
    """
    tables = [np.array(curve, dtype=float) for curve in curves]
    length, last = np.array([curve[-1] for curve in tables]).T
    shorter = last[length <= np.median(length)]
    centre, scale = np.median(shorter), robust_deviation(shorter)
    first = min(float(curve[0, 0]) for curve in tables)
    shapes = len(POWERS) + len(RATES)
    count = np.array([len(curve) for curve in tables])
    products = np.zeros((shapes, len(tables), 2, 2))  # of the basis functions of each curve, summed over its points
    moments = np.zeros((shapes, len(tables), 2))
    squares = np.zeros(len(tables))
    for i, curve in enumerate(tables):
        y = np.maximum((curve[:, 1] - centre) / scale, LOWEST)
        basis = np.stack([np.ones((shapes, len(y))), -_shapes(curve[:, 0], first)], axis=-1)
        products[:, i] = basis.swapaxes(1, 2) @ basis
        moments[:, i] = y @ basis
        squares[i] = y @ y
    mean, variance, noise = _mixture(products, moments, squares, count, length >= length.max() / 2)
    return Forecast(centre + scale * mean, scale * np.sqrt(variance), scale * float(np.sqrt(noise)))


def robust_deviation(values: Floats) -> float:
    """Return the standard deviation without the outliers below the median, 1 for equal values."""
    centre = np.median(values)
    above = values[values >= centre] - centre
    found = float(np.sqrt(np.mean(above**2)))
    return found if found > 1e-12 else 1.0


def _shapes(share: Floats, first: float) -> Floats:
    """Return the shapes g at shares (P,) of the full budget, (S, P); they are 1 at `first` and 0 at 1."""

    def values(u: Floats) -> Floats:
        powers = [u**-c - 1.0 for c in POWERS]
        return np.array([*powers, *(np.exp(-c * u) - np.exp(-c) for c in RATES)])

    if first >= 1:
        return np.zeros((len(POWERS) + len(RATES), len(share)))
    return values(share) / values(np.array([first]))


def _mixture(
    products: Floats, moments: Floats, squares: Floats, count: NDArray[np.int_], longest: NDArray[np.bool_]
) -> tuple[Floats, Floats, float]:
    """Fit linear models with random effects (a, b), mixed over the shapes.

    Expectation maximisation of the mean and covariance of (a, b), the variance of the noise and the share of each shape
    among the curves, all with weak priors. It converges slowly where most curves are short; hence it starts with the
    longest ones. The shapes have the same normal prior: otherwise incomplete curves, which have no preference for a
    shape, could be assigned to one whose gain no complete curve determines.

    Returns
    -------
    mean, variance : ndarray, (N,)
        Of a.
    noise : float
        Variance of the noise.
    """
    shapes, curves = moments.shape[:2]
    start = mean = np.full(2, 0.5)
    covariance, noise, weight = SPREAD, NOISE, np.full(shapes, 1 / shapes)
    for used in [longest] * ROUNDS + [np.ones(curves, dtype=bool)] * ROUNDS:
        precision, _ = _inverse(covariance)
        known = precision + products / noise
        posterior, determinant = _inverse(known)
        pull = precision @ mean + moments / noise
        effect = np.einsum("snij,snj->sni", posterior, pull)
        within = (effect * pull).sum(-1)
        evidence = 0.5 * (within - squares / noise - np.log(determinant))  # but for what the shapes share
        share = np.exp(evidence - evidence.max(axis=0)) * weight[:, None]
        share /= share.sum(axis=0)
        mixed = (share * effect[..., 0]).sum(axis=0)
        variance = (share * (posterior[..., 0, 0] + (effect[..., 0] - mixed) ** 2)).sum(axis=0)
        share = share * used
        second = posterior + effect[..., None] * effect[..., None, :]
        residual = squares - 2 * (effect * moments).sum(-1) + (products * second).sum((-1, -2))
        mean = (VAGUE * start + np.einsum("sn,sni->i", share, effect)) / (VAGUE + used.sum())
        away = effect - mean
        spread = posterior + away[..., None] * away[..., None, :]
        covariance = BELIEF * SPREAD + np.einsum("sn,snij->ij", share, spread)
        covariance /= BELIEF + used.sum()
        noise = (BELIEF * NOISE + float((share * residual).sum())) / (BELIEF + count[used].sum())
        weight = (1.0 + share.sum(axis=1)) / (shapes + used.sum())
    return mixed, variance, noise


def _inverse(matrices: Floats) -> tuple[Floats, Floats]:
    """Return the inverses (..., 2, 2) and determinants (...) of symmetric matrices, faster than LAPACK for many."""
    (a, b), (_, d) = np.moveaxis(matrices, (-2, -1), (0, 1))
    determinant = a * d - b * b
    return np.stack([np.stack([d, -b], -1), np.stack([-b, a], -1)], -2) / determinant[..., None, None], determinant
