"""Paired hierarchical bootstrap over seeds and cases.

A test score has two sources of randomness: the sample of cases and the seed of the training. Both are resampled. Cases
are resampled jointly for the compared networks, which predict the same cases, and by participant if a participant has
several scans. Seeds are resampled within each network, since seeds of different networks are unrelated.

A bootstrap sample is represented by the number of draws of each case (weights), so that the scores of all samples are
one matrix product.

References
----------
Davison and Hinkley (1997), Bootstrap Methods and their Application, section 3.8 (hierarchical data).
Field and Welsh (2007), Bootstrapping clustered data, JRSS B 69(3).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from voxnas.training.scores import CONSTANT, count_pairs

# Function from weights (B, N) to the scores of each bootstrap sample and seed, (B, S); NaN if undefined.
Statistic = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """An estimate with its percentile interval; `not_above` is the fraction of samples at or below 0."""

    estimate: float
    low: float
    high: float
    not_above: float


def mean_statistic(values: np.ndarray) -> Statistic:
    """The mean over cases.

    Parameters
    ----------
    values : ndarray, (S, N)
        Score of each seed and case; NaN cases of a seed are ignored.
    """
    values = np.atleast_2d(np.asarray(values, float))
    known = np.isfinite(values)
    filled = np.where(known, values, 0.0)

    def statistic(weights: np.ndarray) -> np.ndarray:
        total = weights @ known.T.astype(float)
        return np.divide(weights @ filled.T, total, out=np.full(total.shape, np.nan), where=total > 0)

    return statistic


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

    return statistic


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

    return statistic


def _members(folds: ArrayLike, cases: int) -> list[np.ndarray]:
    """Indices of the cases of each fold."""
    folds = np.broadcast_to(np.asarray(folds), (cases,))
    return [np.flatnonzero(folds == fold) for fold in np.unique(folds)]


class Bootstrap:
    """Bootstrap over the cases of one test split.

    Parameters
    ----------
    groups : sequence, length N
        Participant of each case; the cases of a participant are drawn jointly.
    samples : int
        Number B of bootstrap samples.
    confidence : float
        Nominal coverage of the intervals, such as 0.95.
    seed : int
        Seed; equal seeds give equal samples, so that all comparisons of a study share the samples of cases.
    """

    def __init__(self, groups: ArrayLike, samples: int, confidence: float, seed: int) -> None:
        _, member = np.unique(np.asarray(groups), return_inverse=True)
        count = int(member.max()) + 1
        rng = np.random.default_rng(seed)
        drawn = rng.multinomial(count, np.full(count, 1 / count), size=samples)
        self.weights = drawn[:, member].astype(float)  # (B, N)
        self.confidence, self.seed = confidence, seed

    def _samples(self, statistic: Statistic, network: int) -> tuple[float, np.ndarray]:
        """Estimate, and scores of the bootstrap samples with resampled seeds; (), (B,)."""
        estimate = statistic(np.ones((1, self.weights.shape[1])))[0]  # (S,)
        scores = statistic(self.weights)
        seeds = scores.shape[1]
        rng = np.random.default_rng([self.seed, network])
        chosen = rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=len(scores)) / seeds
        return float(np.mean(estimate)), np.einsum("bs,bs->b", scores, chosen)

    def _interval(self, estimate: float, samples: np.ndarray) -> Interval:
        samples = samples[np.isfinite(samples)]
        if not samples.size or not np.isfinite(estimate):
            return Interval(estimate, np.nan, np.nan, np.nan)
        tail = (1 - self.confidence) / 2
        low, high = np.quantile(samples, [tail, 1 - tail])
        return Interval(estimate, float(low), float(high), float(np.mean(samples <= 0)))

    def score(self, statistic: Statistic) -> Interval:
        """Interval of the score of one network, averaged over its seeds."""
        return self._interval(*self._samples(statistic, 1))

    def difference(self, first: Statistic, second: Statistic) -> Interval:
        """Interval of first minus second, paired by case."""
        (a, a_samples), (b, b_samples) = self._samples(first, 1), self._samples(second, 2)
        return self._interval(a - b, a_samples - b_samples)


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
