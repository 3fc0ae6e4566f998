"""Scores on the test split: of a segmented scan, and of a table of predictions."""

from collections.abc import Sequence

import numpy as np

from voxnas.training.scores import balanced_accuracy


def segmentation_scores(
    prediction: np.ndarray, truth: np.ndarray, labels: Sequence[int], spacing: Sequence[float], tolerance: float
) -> dict[str, float]:
    """Overlap and surface scores of one scan, per label and as mean over labels.

    Dice, symmetric 95th percentile Hausdorff distance and normalised surface distance (Nikolov et al. 2021) of MONAI,
    on the grid of the scan. If a label is absent from both maps, Dice and NSD are 1 and the Hausdorff distance is 0. If
    it is absent from one map, Dice and NSD are 0, and the distance is the diagonal of the image, the largest distance
    that the image permits. A missed label thus worsens every score; without a value it would improve the mean
    (Maier-Hein et al. 2024, Metrics Reloaded, Nature Methods 21; the same rule as in the BraTS challenges).

    Parameters
    ----------
    prediction, truth : ndarray of int, (X, Y, Z)
    labels : sequence of int
        Labels to score, without the background.
    spacing : sequence of 3 floats
        Voxel size along X, Y, Z in mm.
    tolerance : float
        Tolerance of the surface distance in mm.

    Returns
    -------
    dict
        ``dice``, ``nsd``, ``hd95_mm`` and ``dice_<label>``, ``nsd_<label>``, ``hd95_mm_<label>``.
    """
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance, compute_surface_dice

    from voxnas.data.preprocess import nonzero_box

    diagonal = float(np.linalg.norm(np.multiply(truth.shape, spacing)))
    # The crop to the labels, with a margin of one voxel, limits the search for surfaces.
    bounds = nonzero_box(((prediction > 0) | (truth > 0))[None])
    box = tuple(slice(max(0, start - 1), stop + 1) for start, stop in bounds)
    prediction, truth = prediction[box], truth[box]
    scores: dict[str, float] = {}
    for label in labels:
        a, b = (torch.from_numpy(m == label)[None, None] for m in (prediction, truth))
        scores[f"dice_{label}"] = float(compute_dice(a, b, ignore_empty=False))
        if a.any() and b.any():
            geometry = {"include_background": True, "spacing": list(map(float, spacing))}
            scores[f"nsd_{label}"] = float(compute_surface_dice(a, b, [tolerance], **geometry))
            scores[f"hd95_mm_{label}"] = float(compute_hausdorff_distance(a, b, percentile=95, **geometry))
        else:
            both_absent = bool(a.any() == b.any())
            scores[f"nsd_{label}"] = float(both_absent)
            scores[f"hd95_mm_{label}"] = 0.0 if both_absent else diagonal
    means = {name: float(np.mean([scores[f"{name}_{n}"] for n in labels])) for name in ("dice", "nsd", "hd95_mm")}
    return {**means, **scores}


def classification_scores(targets: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
    """Scores of a table of class probabilities.

    Parameters
    ----------
    targets : ndarray of int, (N,)
        Class index of each case.
    probabilities : ndarray, (N, K)

    Returns
    -------
    dict
        ``auc`` (mean one-vs-rest AUC with more than two classes; NaN if a class is absent),
        ``accuracy`` and ``balanced_accuracy``.
    """
    from voxnas.benchmark.statistics import auc_statistic

    predicted = probabilities.argmax(1)
    auc = auc_statistic(probabilities[None], targets)(np.ones((1, len(targets))))[0, 0]
    return {
        "auc": float(auc),
        "accuracy": float((predicted == targets).mean()),
        "balanced_accuracy": balanced_accuracy(predicted, targets),
    }


def regression_scores(targets: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """Mean absolute error ``mae``, root mean squared error ``rmse``, determination ``r2`` and correlation ``r``.

    Parameters
    ----------
    targets, predicted : ndarray, (N,)
        In the units of the target.
    """
    from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

    from voxnas.benchmark.statistics import correlation_statistic

    return {
        "mae": float(mean_absolute_error(targets, predicted)),
        "rmse": float(root_mean_squared_error(targets, predicted)),
        "r2": float(r2_score(targets, predicted)) if len(targets) > 1 else float("nan"),
        "r": float(correlation_statistic(predicted[None], targets)(np.ones((1, len(targets))))[0, 0]),
    }
