"""Intervals of test scores and of paired differences, over independent units and training seeds.

A test score has two sources of randomness: the sample of independent units (participants, or the sites, sessions or
runs by which the study was split) and the seed of the training. Every score is reduced to jackknife pseudo-values, one
per seed and unit. Units and seeds are crossed random factors: all seeds predict the same units, and the variance of the
mean is the variance between units plus the excess of the variance between seeds over the interaction. The quantile of
the interval is the mean of Student's t quantiles of units and of seeds, weighted by their parts of this variance
(Cochran's approximation); with three seeds, Satterthwaite's degrees of freedom gave intervals that are too narrow. A
paired difference has the differences of the pseudo-values of
the same unit and the same seed, since seed s of every network leaves out the same fold.

``benchmarks/coverage.py`` measures how often the intervals contain the truth.

References
----------
Tukey (1958), Ann. Math. Statist. 29 (pseudo-values). MacKinnon, Nielsen and Webb (2023), J. Econometrics 232 (jackknife
and t with few clusters). Cochran and Cox (1957), Experimental Designs, section 4.14 (unequal degrees of freedom).
Wilson (1927), JASA 22, and Franco et al. (2019), J. Survey Stat. Methodol. 7 (proportions, with an effective number of
units). Holm (1979), Scand. J. Stat. 6.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import brentq
from scipy.stats import t as student

from voxnas.benchmark.detectable import LEAST_UNITS
from voxnas.training.scores import CONSTANT, count_pairs

LEAST_SEEDS = 3  # with fewer seeds, the variance between trainings is not estimated
TINY = 1e-100  # smallest p-value
BLOCK = 256  # rows of weights that are evaluated at once

# The range of a score, in which its interval is computed: all numbers, numbers > 0, [0, 1], or [-1, 1].
Scale = Literal["real", "positive", "share", "correlation"]


@dataclass(frozen=True)
class Statistic:
    """A score of all seeds as a function of the weights of the cases.

    Parameters
    ----------
    of : function
        From weights (B, N) to the scores of each row of weights and each seed, (B, S); NaN if undefined.
    scale : {"real", "positive", "share", "correlation"}
        Range of the score.
    """

    of: Callable[[np.ndarray], np.ndarray]
    scale: Scale = "real"

    def __call__(self, weights: np.ndarray) -> np.ndarray:
        """Scores of each row of weights and each seed; (B, N) to (B, S)."""
        return self.of(weights)


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval.

    Parameters
    ----------
    estimate : float
    low, high : float
        Bounds; NaN without an interval.
    p : float
        Two-sided p-value of the hypothesis that a difference is 0; NaN without an interval, and for a score.
    note : str
        Why there is no interval, or what it leaves out; else empty.
    """

    estimate: float
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan
    note: str = ""


def mean_statistic(values: np.ndarray, scale: Scale = "real") -> Statistic:
    """The mean over cases.

    Parameters
    ----------
    values : ndarray, (S, N)
        Score of each seed and case; NaN cases of a seed are ignored.
    scale : str
        Range of the scores, see :class:`Statistic`.
    """
    values = np.atleast_2d(np.asarray(values, float))
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)

    def statistic(weights: np.ndarray) -> np.ndarray:
        total = weights @ known.T.astype(float)
        return np.divide(weights @ filled.T, total, out=np.full(total.shape, np.nan), where=total > 0)

    return Statistic(statistic, scale)


def auc_statistic(probabilities: np.ndarray, targets: np.ndarray, folds: ArrayLike = 0) -> Statistic:
    """Area under the ROC curve; with more than two classes, the mean of the one-vs-rest AUCs.

    Ties count one half (Mann and Whitney 1947). The AUC of a sample without one of the classes is NaN. With folds, only
    pairs of cases of the same fold are compared (van Elteren 1960): scores of different folds come from different
    networks, and the AUC over all pairs is biased below 0.5 without any signal (Forman and Scholz 2010, SIGKDD
    Explorations 12(1)).

    Parameters
    ----------
    probabilities : ndarray, (S, N, K)
        Probabilities by seed, case and class.
    targets : ndarray of int, (N,)
        Class index of each case.
    folds : array_like, (N,) or ()
        Fold of each case.
    """
    probabilities, targets = np.asarray(probabilities, float), np.asarray(targets)
    classes = [1] if probabilities.shape[-1] == 2 else range(probabilities.shape[-1])
    members = _members(folds, len(targets))

    def one_class(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
        counts = [count_pairs(scores[m], positive[m], weights[:, m]) for m in members]
        higher, tied, pairs = np.sum(counts, axis=0)
        return np.divide(higher + tied / 2, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)

    def statistic(weights: np.ndarray) -> np.ndarray:
        columns = [
            np.mean([one_class(scores[:, k], targets == k, weights) for k in classes], axis=0)
            for scores in probabilities
        ]
        return np.stack(columns, axis=1)

    return Statistic(statistic, "share")


def correlation_statistic(predicted: np.ndarray, targets: np.ndarray, folds: ArrayLike = 0) -> Statistic:
    """Pearson correlation of prediction and target over cases.

    With folds, predictions and targets are centred within each fold. The mean prediction of a fold follows the mean
    target of the other folds and thus opposes the mean target of its own fold, which biases the correlation over all
    cases below 0 without any signal. The correlation is 0 for a constant prediction (see
    :func:`voxnas.training.scores.correlation`), and NaN for a constant target.

    Parameters
    ----------
    predicted : ndarray, (S, N)
        Predictions by seed and case.
    targets : ndarray, (N,)
    folds : array_like, (N,) or ()
        Fold of each case.
    """
    predicted, targets = np.atleast_2d(np.asarray(predicted, float)), np.asarray(targets, float)
    members = _members(folds, len(targets))
    # Centred, so that the sums of squares retain precision.
    x, y = predicted.copy(), targets.copy()
    for m in members:
        x[:, m] -= x[:, m].mean(1, keepdims=True)
        y[m] -= y[m].mean()

    def statistic(weights: np.ndarray) -> np.ndarray:
        sums = np.zeros((3, len(weights), len(x)))
        for m in members:
            w, a, b = weights[:, m], x[:, m], y[m]
            count = np.maximum(w.sum(1, keepdims=True), 1e-300)
            sum_a, sum_b = w @ a.T, (w @ b)[:, None]
            sums[0] += w @ (a * b).T - sum_a * sum_b / count
            sums[1] += w @ (a * a).T - sum_a**2 / count
            sums[2] += (w @ (b * b))[:, None] - sum_b**2 / count
        covariance, variance_x, variance_y = sums
        constant, undefined = variance_x <= CONSTANT**2 * variance_y, variance_y <= 1e-12 * (y @ y)
        r = np.zeros(covariance.shape)
        np.divide(covariance, np.sqrt(np.maximum(variance_x * variance_y, 0)), out=r, where=~(constant | undefined))
        return np.where(undefined, np.nan, r)

    return Statistic(statistic, "correlation")


def _members(folds: ArrayLike, cases: int) -> list[np.ndarray]:
    """Indices of the cases of each fold."""
    folds = np.broadcast_to(np.asarray(folds), (cases,))
    return [np.flatnonzero(folds == fold) for fold in np.unique(folds)]


class Comparison:
    """Scores and paired differences of networks on the same cases.

    Parameters
    ----------
    units : sequence, length N
        Independent unit of each case: the unit by which the study was split.
    confidence : float
        Nominal coverage of the intervals, such as 0.95.
    """

    def __init__(self, units: ArrayLike, confidence: float) -> None:
        names, self.member = np.unique(np.asarray(units), return_inverse=True)
        self.units, self.confidence = len(names), confidence

    def score(self, statistic: Statistic) -> Interval:
        """Interval of the score of one network, averaged over its seeds."""
        values = self._pseudo_values(statistic)
        return self._interval(_estimate(statistic, len(self.member)), values, statistic.scale, null=None)

    def difference(self, first: Statistic, second: Statistic) -> Interval:
        """Interval and p-value of first minus second, paired by unit and seed.

        A network with one training (an ensemble) is compared with each seed of the other; the interval then holds for
        this training.
        """
        estimate = _estimate(first, len(self.member)) - _estimate(second, len(self.member))
        return self._interval(estimate, self._pseudo_values(first) - self._pseudo_values(second), first.scale, null=0.0)

    def _pseudo_values(self, statistic: Statistic) -> np.ndarray:
        """Jackknife pseudo-values of each seed and unit, (S, U)."""
        deleted = [
            statistic((self.member != np.arange(start, min(start + BLOCK, self.units))[:, None]).astype(float))
            for start in range(0, self.units, BLOCK)
        ]
        whole = statistic(np.ones((1, len(self.member))))
        return (self.units * whole - (self.units - 1) * np.concatenate(deleted)).T

    def _interval(self, estimate: float, values: np.ndarray, scale: Scale, null: float | None) -> Interval:
        seeds = len(values)
        if self.units < LEAST_UNITS:
            return Interval(estimate, note=f"no interval: fewer than {LEAST_UNITS} independent units")
        if not np.isfinite(values).all():
            return Interval(estimate, note="no interval: the score is undefined without one of the units")
        error, of_seeds = standard_error(values)
        if error <= 1e-9 * np.abs(values).max():
            return Interval(estimate, note="no interval: the score does not vary between the units")
        reach = quantile((1 - self.confidence) / 2, of_seeds, seeds, self.units) * error
        note = "" if seeds >= LEAST_SEEDS else f"for {'this training' if seeds == 1 else 'these trainings'} only"
        if null is None:
            return Interval(estimate, *_bounds(estimate, reach, scale), note=note)
        limit = {"share": 1.0, "correlation": 2.0}.get(scale, np.inf)
        low, high = max(estimate - reach, -limit), min(estimate + reach, limit)
        p = 2 * tail(abs(estimate - null) / error, of_seeds, seeds, self.units)
        return Interval(estimate, low, high, p, note)


def standard_error(values: np.ndarray) -> tuple[float, float]:
    """Standard error of the mean of a table of crossed random effects, and the part of its square that seeds add.

    With mean squares of units, seeds and interaction, the variance of the mean is (units + max(0, seeds -
    interaction)) / (S U). With fewer than three seeds, it is that of the mean over these seeds.

    Parameters
    ----------
    values : ndarray, (S, U)
        Value of each seed and unit.
    """
    seeds, units = values.shape
    by_unit, by_seed, mean = values.mean(0), values.mean(1), values.mean()
    square_units = seeds * by_unit.var(ddof=1)
    if seeds < LEAST_SEEDS:
        return float(np.sqrt(square_units / values.size)), 0.0
    square_seeds = units * by_seed.var(ddof=1)
    square_rest = ((values - by_unit - by_seed[:, None] + mean) ** 2).sum() / ((seeds - 1) * (units - 1))
    excess = max(0.0, square_seeds - square_rest)
    total = square_units + excess
    return float(np.sqrt(total / values.size)), excess / total if total else 0.0


def quantile(level: float, of_seeds: float, seeds: int, units: int) -> float:
    """Upper quantile of the standardised mean: the weighted mean of the t quantiles of seeds and units.

    Parameters
    ----------
    level : float
        Probability above the quantile.
    of_seeds : float
        Part of the variance that seeds add.
    seeds, units : int
    """
    by_units = float(student.isf(level, units - 1))
    return of_seeds * float(student.isf(level, seeds - 1)) + (1 - of_seeds) * by_units if of_seeds else by_units


def tail(value: float, of_seeds: float, seeds: int, units: int) -> float:
    """Probability above a non-negative value of the standardised mean, the inverse of :func:`quantile`."""
    if quantile(TINY, of_seeds, seeds, units) <= value:
        return TINY
    return math.exp(brentq(lambda log: quantile(math.exp(log), of_seeds, seeds, units) - value, *np.log([TINY, 0.5])))


def _estimate(statistic: Statistic, cases: int) -> float:
    """Score of all cases, averaged over seeds."""
    return float(statistic(np.ones((1, cases)))[0].mean())


def _bounds(estimate: float, reach: float, scale: Scale) -> tuple[float, float]:
    """Bounds of an estimate within the range of its scale; `reach` is the quantile times the standard error."""
    if scale == "positive" and estimate > 0:
        return estimate * np.exp(-reach / estimate), estimate * np.exp(reach / estimate)
    if scale == "correlation" and abs(estimate) < 1:
        centre, reach = np.arctanh(estimate), reach / (1 - estimate**2)
        return float(np.tanh(centre - reach)), float(np.tanh(centre + reach))
    if scale == "share" and 0 < estimate < 1:
        variance = estimate * (1 - estimate)
        ratio = reach**2 / variance
        half = np.sqrt(ratio * variance + ratio**2 / 4)
        return (estimate + ratio / 2 - half) / (1 + ratio), (estimate + ratio / 2 + half) / (1 + ratio)
    return estimate - reach, estimate + reach


def holm(p: ArrayLike) -> np.ndarray:
    """P-values adjusted for the number of tests (Holm 1979); NaN values are not counted.

    Parameters
    ----------
    p : array_like, (N,)

    Returns
    -------
    ndarray, (N,)
    """
    p = np.asarray(p, float)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.maximum.accumulate(np.minimum(p[order] * np.arange(len(order), 0, -1), 1))
    return adjusted


def verdict(difference: float, p: float, confidence: float) -> str:
    """Verdict on the first of two networks from the difference and its (adjusted) p-value.

    Returns
    -------
    str
        ``better``, ``worse``, ``indistinguishable``, or ``untested`` without a p-value.
    """
    if not np.isfinite(p):
        return "untested"
    if p >= 1 - confidence:
        return "indistinguishable"
    return "better" if difference > 0 else "worse"
