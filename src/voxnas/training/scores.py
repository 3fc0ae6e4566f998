"""Scores of predicted classes for validation and test. Imports no torch."""

import numpy as np

CONSTANT = 1e-6  # spread of a prediction, relative to the spread of the target, at and below which it is rounding error


def count_pairs(scores: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weighted counts of the pairs of a positive and a negative case, which give the AUC (Mann & Whitney 1947).

    The negative scores are sorted once, so the cost is N log N. A NaN score is neither higher nor tied.

    Parameters
    ----------
    scores : ndarray, (N,)
    positive : ndarray, (N,), bool
    weights : ndarray, (B, N)
        Count of each case in each of B resamples.

    Returns
    -------
    higher, tied, pairs : ndarray, (B,)
        Number of pairs whose positive case has the higher score, of pairs with equal scores, and of all pairs.
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
    """Area under the ROC curve by ranks, with a weight of one half for ties; NaN for a single class.

    Parameters
    ----------
    scores : ndarray, (N,)
    positive : ndarray, (N,), bool
    """
    higher, tied, pairs = (float(count[0]) for count in count_pairs(scores, positive, np.ones((1, len(scores)))))
    return higher / pairs + 0.5 * (tied / pairs) if pairs else float("nan")


def balanced_accuracy(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Mean recall over the classes of `truth`.

    Parameters
    ----------
    predicted, truth : ndarray of int, (N,)
    """
    return float(np.mean([(predicted[truth == label] == label).mean() for label in np.unique(truth)]))


def validation_scores(logits: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """AUC (of the second of two classes, otherwise the mean of one class against the rest) and both accuracies.

    Parameters
    ----------
    logits : ndarray, (N, K)
    truth : ndarray, (N,)
        Indices of the classes.
    """
    classes = logits.shape[1]
    if classes == 2:
        area = auc(logits[:, 1] - logits[:, 0], truth == 1)
    else:
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        shares = shifted / shifted.sum(1, keepdims=True)
        areas = [auc(shares[:, k], truth == k) for k in range(classes)]
        area = float(np.nanmean(areas)) if not np.all(np.isnan(areas)) else float("nan")
    predicted = logits.argmax(1)
    accuracy = float((predicted == truth).mean())
    return {"auc": area, "accuracy": accuracy, "balanced_accuracy": balanced_accuracy(predicted, truth)}


def correlation(predicted: np.ndarray, truth: np.ndarray) -> float:
    """Pearson correlation; 0 for a constant prediction (:data:`CONSTANT`), NaN for a constant truth.

    A constant prediction carries no information on the order of the cases. Without a value it would leave the mean over
    folds or seeds and improve it.

    Parameters
    ----------
    predicted, truth : ndarray, (N,)
        In the same unit.
    """
    if np.ptp(truth) == 0:
        return float("nan")
    x, y = predicted - predicted.mean(), truth - truth.mean()
    return 0.0 if x.std() <= CONSTANT * y.std() else float(x @ y / np.sqrt((x @ x) * (y @ y)))
