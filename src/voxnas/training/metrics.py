"""Cheap validation scores that steer a search; larger is better except for ``mae``.

:mod:`voxnas.benchmark` computes the published evaluation.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from voxnas.core.errors import UserError
from voxnas.data.dataset import StudyData
from voxnas.data.samples import by_case
from voxnas.training.distributed.base import Backend
from voxnas.training.inference import predict_probabilities, predict_vectors
from voxnas.training.scores import correlation, validation_scores
from voxnas.training.targets import Targets

VALIDATION_BATCH = 16  # windows of runs that are predicted at once


def dice_per_label(prediction: Tensor, label: Tensor, classes: int) -> list[float]:
    """Dice of each class except the background; NaN for a class in neither volume.

    Parameters
    ----------
    prediction, label : Tensor, (D, H, W), integer
    classes : int
        Number of classes including the background.
    """
    both = torch.bincount((prediction.long() * classes + label.long()).flatten(), minlength=classes * classes)
    table = both.view(classes, classes).double()
    overlap, total = table.diagonal(), table.sum(0) + table.sum(1)
    return (2 * overlap / total)[1:].tolist()


def mean_log_probabilities(logits: np.ndarray, groups: Sequence[Sequence[int]]) -> np.ndarray:
    """Logarithm of the mean class probabilities of each group of samples.

    Parameters
    ----------
    logits : ndarray, (N, K)
    groups : sequence of sequence of int
        Indices of the samples of each case.

    Returns
    -------
    ndarray, (cases, K)
    """
    shifted = logits - logits.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return np.stack([np.logaddexp.reduce(logs[group], axis=0) - np.log(len(group)) for group in map(list, groups)])


class Validation:
    """Validation of a network on the scans of a fold, divided among the processes.

    The predictions of the samples of a run are averaged over each case.

    Parameters
    ----------
    data : StudyData
    scans : sequence of str
        The validation fold.
    targets : Targets
        Coding of the targets.
    precision : str
        As in the training settings.
    """

    def __init__(self, data: StudyData, scans: Sequence[str], targets: Targets, precision: str) -> None:
        self.data, self.scans, self.targets, self.precision = data, list(scans), targets, precision
        self.patch = data.plan.patch
        self.samples = [] if targets.task == "segmentation" else data.samples(scans)
        self.batch = VALIDATION_BATCH if data.timed else 1

    def check(self, fold: int) -> None:
        """Check that the fold has at least two classes, without which no AUC is defined.

        Raises
        ------
        UserError
            If a fold of a classification has only one class.
        """
        found = {sample.target for sample in self.samples}
        if self.targets.task == "classification" and len(found) < 2:
            raise UserError(
                f"fold {fold} has only the class {min(map(str, found), default='(none)')!r} among its "
                f"{len(self.scans)} scans, so that a network cannot be scored on it by AUC",
                "lower splits.folds, or choose another splits.unit",
            )

    def __call__(self, network: nn.Module, backend: Backend) -> tuple[float, dict[str, float]]:
        """Score the network.

        Returns
        -------
        score : float
            Mean Dice over the labels, AUC (NaN for a single class), or -MAE.
        metrics : dict of str to float
            ``dice_<label>`` of each label; ``auc``, ``accuracy`` and ``balanced_accuracy``; or ``mae`` (in the units of
            the target) and ``r``. Undefined metrics are omitted.
        """
        training = network.training
        network.eval()
        segments = self.targets.task == "segmentation"
        rows = self._maps(network, backend) if segments else self._vectors(network, backend)
        network.train(training)
        return self._summary(backend.sum(rows).numpy())

    def _maps(self, network: nn.Module, backend: Backend) -> Tensor:
        """Dice of each scan and label, 0 in the rows of other processes."""
        rows = torch.zeros(len(self.scans), len(self.targets.labels) - 1, dtype=torch.float64)
        for i in backend.share(range(len(self.scans))):
            probabilities = predict_probabilities(
                network, self.data.image(self.scans[i]), self.patch, (), self.precision
            )
            found = dice_per_label(probabilities.argmax(0), self.data.label(self.scans[i]), len(self.targets.labels))
            rows[i] = torch.tensor(found, dtype=torch.float64)
        return rows

    def _vectors(self, network: nn.Module, backend: Backend) -> Tensor:
        """Logits or value of each sample, 0 in the rows of other processes."""
        rows = torch.zeros(len(self.samples), max(len(self.targets.classes), 1), dtype=torch.float64)
        for first in backend.share(range(0, len(self.samples), self.batch)):
            inputs = [self.data.input(sample) for sample in self.samples[first : first + self.batch]]
            rows[first : first + len(inputs)] = predict_vectors(network, inputs, self.patch, self.precision).double()
        return rows

    def _summary(self, rows: np.ndarray) -> tuple[float, dict[str, float]]:
        if self.targets.task == "segmentation":
            defined = ~np.isnan(rows)
            present = defined.any(0)
            means = np.where(defined, rows, 0).sum(0)[present] / defined.sum(0)[present]
            names = [f"dice_{value}" for value in np.array(self.targets.labels[1:])[present]]
            return float(means.mean()) if len(means) else 0.0, dict(zip(names, means.tolist(), strict=True))
        cases = list(by_case(self.samples).values())
        truth = np.array([float(self.targets.encode(self.samples[case[0]].target)) for case in cases])
        if self.targets.task == "classification":
            metrics = validation_scores(mean_log_probabilities(rows, cases), truth)
            metrics = {name: value for name, value in metrics.items() if np.isfinite(value)}
            return metrics.get("auc", float("nan")), metrics
        values = np.array([rows[case, 0].mean() for case in cases]) * self.targets.sd + self.targets.mean
        truth = truth * self.targets.sd + self.targets.mean
        metrics = {"mae": float(np.abs(values - truth).mean()), "r": correlation(values, truth)}
        return -metrics["mae"], {name: value for name, value in metrics.items() if np.isfinite(value)}
