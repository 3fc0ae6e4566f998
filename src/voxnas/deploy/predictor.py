"""Prediction for preprocessed scans by trained networks, singly or as an ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from voxnas.arch.views import network_divisor, network_plan
from voxnas.core.plan import Plan

if TYPE_CHECKING:
    from torch import Tensor, nn

    from voxnas.core.architecture import Architecture, Copy


class Predictor:
    """One architecture with the weights of one or more seeds.

    Parameters
    ----------
    architecture : Architecture
    weights : sequence of path
        One safetensors file per seed.
    plan : Plan
        Preprocessing record of the study: task, patch, labels.
    threads : int
        Threads of a prediction; like the threads of the training they are part of the identity of a result.
    precision : str
        Setting of the training (see :func:`voxnas.nn.precision.resolve_precision`).
    copies : sequence of Copy
        Further copies of the input over which a segmentation is averaged.
    exports : sequence of path
        Exported networks, which compute in place of PyTorch; one per file of `weights`.
    """

    def __init__(
        self,
        architecture: Architecture,
        weights: Sequence[str | Path],
        plan: Plan,
        threads: int,
        precision: str,
        copies: Sequence[Copy],
        exports: Sequence[Path] = (),
    ) -> None:
        import torch

        torch.set_num_threads(threads)
        self.plan, self.copies, self.precision = network_plan(architecture, plan), copies, precision
        if exports:
            from voxnas.deploy.export import load_exported

            divisor, pairs = network_divisor(architecture) or (1, 1, 1), zip(exports, weights, strict=True)
            self.networks: list[nn.Module] = [load_exported(file, Path(path), threads, divisor) for file, path in pairs]
        else:
            from voxnas.training.inference import load_trained

            self.networks = [load_trained(architecture, path) for path in weights]

    def __call__(self, inputs: Sequence[Tensor]) -> list[np.ndarray]:
        """Predict one case with each network.

        Parameters
        ----------
        inputs : sequence of Tensor, (C, D, H, W) or (T, C, D, H, W)
            The preprocessed scan (segmentation takes one), or the windows of a run, whose predictions are averaged.

        Returns
        -------
        list of ndarray
            Segmentation: class probabilities (K, D, H, W) on the preprocessed grid;
            classification: class probabilities (K,); regression: the value (1,). Their mean over
            the list is the ensemble's prediction.
        """
        from voxnas.training.inference import predict_probabilities, predict_vectors

        patch, precision = self.plan.patch, self.precision
        if self.plan.task == "segmentation":
            (image,) = inputs
            return [predict_probabilities(n, image, patch, self.copies, precision).numpy() for n in self.networks]
        found = [predict_vectors(n, inputs, patch, precision) for n in self.networks]
        if self.plan.task == "classification":
            found = [rows.softmax(1) for rows in found]
        return [rows.mean(0).numpy() for rows in found]


def label_map(probabilities: np.ndarray, geometry: dict[str, Any]) -> np.ndarray:
    """Compute the label of each voxel on the scan's own grid.

    Probabilities instead of labels are resampled, so that borders stay smooth.

    Parameters
    ----------
    probabilities : ndarray, (K, D, H, W)
        Class probabilities on the preprocessed grid.
    geometry : dict
        From :func:`voxnas.data.preprocess.preprocess_scan`.

    Returns
    -------
    ndarray, (X, Y, Z)
        uint8, int16 for labels above 255, int32 for labels above 32,767.
    """
    from voxnas.data.preprocess import restore_probabilities

    values = np.array(geometry["values"])
    values = values.astype(np.uint8 if values.max() < 256 else np.min_scalar_type(-int(values.max()) - 1))
    return values[restore_probabilities(probabilities, geometry).argmax(0)]


def named_prediction(vector: np.ndarray, plan: Plan) -> dict[str, Any]:
    """Return the columns of a table for one predicted class or value.

    Parameters
    ----------
    vector : ndarray, (K,)
        Class probabilities; (1,) for a value.
    plan : Plan
        Plan of the study.
    """
    if plan.task == "regression":
        return {"predicted": float(vector[0])}
    columns = {f"probability_{name}": float(p) for name, p in zip(plan.classes, vector, strict=True)}
    return {"predicted": plan.classes[int(vector.argmax())], **columns}
