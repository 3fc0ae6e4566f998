"""Scores of predicted classes, for validation and test alike, without torch."""

from __future__ import annotations

import numpy as np


def count_pairs(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weighted counts of the pairs of a positive and a negative case, from which the AUC follows (Mann & Whitney 1947).

    The negative scores are sorted once, so that the cost is N log N. A score that is NaN is neither higher nor tied.

    Parameters
    ----------
    scores : ndarray, (N,)
    positive : ndarray, (N,), bool
    weights : ndarray, (B, N)
        How often each case counts, for each of B samples.

    Returns
    -------
    higher, tied, pairs : ndarray, (B,)
        Pairs whose positive case has the higher score, whose scores are equal, and all pairs.
    """
    yes, no = weights[:, positive], weights[:, ~positive]
    known = ~np.isnan(scores)
    rivals = scores[~positive & known]
    order = np.argsort(rivals)
    below = np.cumsum(np.pad(no[:, known[~positive]][:, order], ((0, 0), (1, 0))), axis=1)
    first, last = (np.searchsorted(rivals[order], scores[positive & known], side) for side in ("left", "right"))
    own = yes[:, known[positive]]
    higher, tied = (own * below[:, first]).sum(1), (own * (below[:, last] - below[:, first])).sum(1)
    return higher, tied, yes.sum(1) * no.sum(1)


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties counting half; NaN with one class.

    Parameters
    ----------
    scores : ndarray, (N,)
    positive : ndarray, (N,), bool
    """
    higher, tied, pairs = (float(count[0]) for count in count_pairs(scores, positive, np.ones((1, len(scores)))))
    return higher / pairs + 0.5 * (tied / pairs) if pairs else float("nan")


def balanced_accuracy(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes that occur of the share of their cases that is predicted rightly.

    Parameters
    ----------
    predicted, truth : ndarray of int, (N,)
    """
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def validation_scores(logits: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """AUC (of the second class of two, else the mean of one against the rest) and balanced accuracy.

    Parameters
    ----------
    logits : ndarray, (N, K)
    truth : ndarray, (N,)
        Numbers of the classes.
    """
    classes = logits.shape[1]
    if classes == 2:
        area = auc(logits[:, 1] - logits[:, 0], truth == 1)
    else:
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        shares = shifted / shifted.sum(1, keepdims=True)
        areas = [auc(shares[:, k], truth == k) for k in range(classes)]
        area = float(np.nanmean(areas)) if not np.all(np.isnan(areas)) else float("nan")
    return {"auc": area, "balanced_accuracy": balanced_accuracy(logits.argmax(1), truth)}
