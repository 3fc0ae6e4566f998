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

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from voxnas.training.scores import count_pairs

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


def auc_statistic(probabilities: np.ndarray, targets: np.ndarray) -> Statistic:
    """Area under the ROC curve; with more than two classes, the mean of the one-vs-rest AUCs.

    Ties count one half (Mann and Whitney 1947). The AUC of a sample without one of the classes is NaN.

    Parameters
    ----------
    probabilities : ndarray, (S, N, K)
        Probabilities by seed, case and class.
    targets : ndarray of int, (N,)
        Class index of each case.
    """
    probabilities, targets = np.asarray(probabilities, float), np.asarray(targets)
    classes = [1] if probabilities.shape[-1] == 2 else range(probabilities.shape[-1])

    def one_class(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
        higher, tied, pairs = count_pairs(scores, positive, weights)
        return np.divide(higher + tied / 2, pairs, out=np.full(pairs.shape, np.nan), where=pairs > 0)

    def statistic(weights: np.ndarray) -> np.ndarray:
        columns = [
            np.mean([one_class(scores[:, k], targets == k, weights) for k in classes], axis=0)
            for scores in probabilities
        ]
        return np.stack(columns, axis=1)

    return statistic


def correlation_statistic(predicted: np.ndarray, targets: np.ndarray) -> Statistic:
    """Pearson correlation of prediction and target over cases; NaN if one of the two is constant.

    Parameters
    ----------
    predicted : ndarray, (S, N)
        Predictions by seed and case.
    targets : ndarray, (N,)
    """
    predicted, targets = np.atleast_2d(np.asarray(predicted, float)), np.asarray(targets, float)
    # Centred, so that the sums of squares retain precision.
    x, y = predicted - predicted.mean(1, keepdims=True), targets - targets.mean()

    def statistic(weights: np.ndarray) -> np.ndarray:
        shares = weights / weights.sum(1, keepdims=True)
        mean_x, mean_y = shares @ x.T, (shares @ y)[:, None]
        covariance = shares @ (x * y).T - mean_x * mean_y
        variance = (shares @ (x * x).T - mean_x**2) * ((shares @ (y * y))[:, None] - mean_y**2)
        return np.divide(
            covariance, np.sqrt(variance.clip(0)), out=np.full(mean_x.shape, np.nan), where=variance > 1e-24
        )

    return statistic


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
