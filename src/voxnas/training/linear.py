"""Linear baselines: ridge regression, logistic regression and support vectors on the features of :class:`LinearModel`.

Scikit-learn fits them. Standardisation and the choice of the regularisation strength use the training folds alone; the
inner folds separate the same units as the study's splits (participants, sites, runs). The fitted model is a linear
layer of torch, so that prediction needs neither scikit-learn nor pickle.

All three penalise the squared norm of the weights, so a rotation of the features changes nothing. With more features
than samples (19,900 pairs of 200 regions, some hundred participants) they are fitted in the space that the samples
span, whose dimension is at most the number of samples (Hastie & Tibshirani 2004, Biostatistics).
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any, NamedTuple, cast

import numpy as np
import torch

from voxnas.arch.families.linear import Linear
from voxnas.arch.views import input_size
from voxnas.core.architecture import ArchitectureRecord
from voxnas.core.errors import UserError
from voxnas.data.dataset import StudyData
from voxnas.nn.linear import LinearModel
from voxnas.training.sampling.patches import centred_start, crop_or_pad
from voxnas.training.targets import Targets

STRENGTHS = {"ridge": np.logspace(-1, 6, 15), "logistic": np.logspace(-6, 2, 9), "svm": np.logspace(-3, 2, 6)}
INNER_FOLDS = 5
RANK = 1e-10  # threshold relative to the largest eigenvalue, below which directions contain only rounding errors
TEMPERATURES = (1e-2, 1e3)
NEVER = 1e3  # difference between the lowest score and the score of a class without training samples

# Module and name of the estimator, its parameter of regularisation (alpha is the reciprocal of C), and its options.
MODELS: dict[tuple[str, bool], tuple[str, str, str, dict[str, Any]]] = {
    ("ridge", True): ("linear_model", "RidgeClassifier", "alpha", {}),
    ("ridge", False): ("linear_model", "Ridge", "alpha", {}),
    ("logistic", True): ("linear_model", "LogisticRegression", "C", {"max_iter": 2000}),
    ("svm", True): ("svm", "LinearSVC", "C", {"dual": False}),
    ("svm", False): ("svm", "LinearSVR", "C", {"dual": False, "loss": "squared_epsilon_insensitive"}),
}

Folds = list[tuple[np.ndarray, np.ndarray]]


def fit_linear(
    architecture: ArchitectureRecord, data: StudyData, scans: Sequence[str], targets: Targets, seed: int
) -> LinearModel:
    """Fit a linear baseline on the training scans.

    Parameters
    ----------
    architecture : Linear
        Determines the features and the model.
    data : StudyData
        Data of the architecture's view.
    scans : sequence of str
        The training scans; the inner cross-validation stays within them.
    targets : Targets
        Classification, or regression (the model predicts standardised values).
    seed : int
        Seed of the inner folds.

    Raises
    ------
    UserError
        If all training samples have one class.
    """
    architecture = cast(Linear, architecture)
    model = LinearModel(architecture, input_size(architecture, data.plan))
    patch = data.plan.patch
    samples = data.samples(scans)
    features = np.empty((len(samples), model.linear.in_features), np.float32)
    with torch.inference_mode():
        for row, sample in enumerate(samples):
            x = data.input(sample)
            x = crop_or_pad(x, centred_start(x.shape[-3:], patch), patch)
            features[row] = model.features(x[None])[0].numpy()
    truth = torch.stack([targets.encode(sample.target) for sample in samples]).double().numpy()
    classes = len(targets.classes) if targets.task == "classification" else 0
    if classes and len(np.unique(truth)) < 2:
        raise UserError(
            f"all {len(samples)} training samples have the target {samples[0].target!r}",
            "give splits.folds scans of two classes outside every fold",
        )
    name = architecture.model
    if name == "auto":
        name = "logistic" if classes else "ridge"
    folds = inner_folds(truth, [sample.unit for sample in samples], classes, seed)
    weight, bias = fit_weights(features, truth, name, classes, folds)
    with torch.no_grad():
        model.linear.weight.copy_(torch.from_numpy(weight))
        model.linear.bias.copy_(torch.from_numpy(bias))
    return model.eval()


def inner_folds(truth: np.ndarray, units: Sequence[str], classes: int, seed: int) -> Folds:
    """Divide the training samples into folds that keep units whole, stratified by class as far as possible.

    Parameters
    ----------
    truth : ndarray, (N,)
        Indices of the classes, or values.
    units : sequence of str, (N,)
        Units that must not be split.
    classes : int
        Number of classes; 0 for values.
    seed : int

    Returns
    -------
    list of (training, left out)
        Indices of samples; empty if a class has a single unit, which permits no choice of the strength.
    """
    from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

    groups = np.unique(np.asarray(units), return_inverse=True)[1]
    holders = [len(set(groups[truth == k])) for k in np.unique(truth)] if classes else [len(set(groups))]
    count = min(INNER_FOLDS, *holders, len(set(groups)))
    if count < 2:
        return []
    kind = StratifiedGroupKFold if classes else GroupKFold
    splitter = kind(count, shuffle=True, random_state=seed)
    return list(splitter.split(np.zeros(len(truth)), truth, groups))


def fit_weights(
    features: np.ndarray, truth: np.ndarray, name: str, classes: int, folds: Folds
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the weights and biases of a model with the regularisation strength of least error on the folds.

    The error is the squared error of left-out values, or the log loss of left-out classes. Scores of ridge regression
    and support vectors are not probabilities. They are multiplied by the temperature of least log loss on the left-out
    samples (Guo et al. 2017, ICML), which preserves their order.

    Parameters
    ----------
    features : ndarray, (N, F)
    truth : ndarray, (N,)
        Indices of the classes, or values.
    name : str
        ``ridge``, ``logistic`` or ``svm``.
    classes : int
        Number of classes; 0 for values.
    folds : list of (training, left out)
        Without folds the strength is 1.

    Returns
    -------
    weight : ndarray, (K, F)
        Weights of the logits, or of the value (K = 1).
    bias : ndarray, (K,)
    """
    strengths = STRENGTHS[name]
    scores = np.full((len(strengths), len(truth), max(classes, 1)), np.nan)
    for training, left_out in folds:
        part = _Space.of(features[training])
        if classes:  # classes without training samples in this fold are not scored
            left_out = left_out[np.isin(truth[left_out], truth[training])]
        away = part.project(features[left_out])
        for row, strength in enumerate(strengths):
            weight, bias = _solve(name, classes, strength, part.samples, truth[training])
            scores[row, left_out] = away @ weight.T + bias
    strength, temperature = 1.0, 1.0
    if folds:
        judged = [_judge(found, truth, classes, name != "logistic") for found in scores]
        best = int(np.argmin([loss for loss, _ in judged]))
        strength, temperature = strengths[best], judged[best][1]
    space = _Space.of(features)
    weight, bias = _solve(name, classes, strength, space.samples, truth)
    weight, bias = space.back(temperature * weight, temperature * bias)
    return weight, bias


class _Space(NamedTuple):
    """Standardised features, or their coordinates in the space of the samples if features outnumber samples."""

    samples: np.ndarray  # (N, R)
    mean: np.ndarray  # (F,)
    scale: np.ndarray  # (F,)
    axes: np.ndarray | None  # (F, R), orthonormal

    @classmethod
    def of(cls, features: np.ndarray) -> _Space:
        from sklearn.preprocessing import StandardScaler

        scaler = StandardScaler().fit(features)
        standard = scaler.transform(features)
        if features.shape[1] <= len(features):
            return cls(standard.astype(np.float64), scaler.mean_, scaler.scale_, None)
        values, vectors = np.linalg.eigh((standard @ standard.T).astype(np.float64))
        kept = values > RANK * max(values[-1], np.finfo(float).tiny)
        if not kept.any():  # a single sample or identical samples span no direction
            return cls(np.zeros((len(features), 1)), scaler.mean_, scaler.scale_, np.zeros((features.shape[1], 1)))
        lengths = np.sqrt(values[kept])
        axes = standard.T @ (vectors[:, kept] / lengths).astype(standard.dtype)
        return cls(vectors[:, kept] * lengths, scaler.mean_, scaler.scale_, axes)

    def project(self, features: np.ndarray) -> np.ndarray:
        """Transform further samples to the same space, (M, F) to (M, R)."""
        standard = ((features - self.mean) / self.scale).astype(features.dtype)
        return (standard if self.axes is None else standard @ self.axes).astype(np.float64)

    def back(self, weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Transform weights of the space to weights of the features."""
        weight = (weight if self.axes is None else weight @ self.axes.T) / self.scale
        return weight, bias - weight @ self.mean


def _solve(
    name: str, classes: int, strength: float, samples: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Fit the weights (K, R) and biases (K,) of scikit-learn's model; a class without samples has the lowest score."""
    # Samples of a mean norm of 1 let the solver of support vectors converge, and make its strengths independent of the
    # number of features.
    length = float(np.sqrt((samples**2).sum(1).mean())) or 1.0 if name == "svm" else 1.0
    module, kind, parameter, options = MODELS[name, bool(classes)]
    estimator = getattr(import_module(f"sklearn.{module}"), kind)(**{parameter: strength}, **options)
    fitted = estimator.fit(samples / length, truth)
    weight, bias = np.atleast_2d(fitted.coef_) / length, np.atleast_1d(fitted.intercept_)
    if not classes:
        return weight, bias
    if len(weight) == 1:  # two classes have one score, for the second class
        weight, bias = np.vstack([0 * weight, weight]), np.concatenate([[0.0], bias])
    known = fitted.classes_.astype(int)
    all_weights, all_biases = np.zeros((classes, samples.shape[1])), np.full(classes, bias.min() - NEVER)
    all_weights[known], all_biases[known] = weight, bias
    return all_weights, all_biases


def _judge(scores: np.ndarray, truth: np.ndarray, classes: int, calibrate: bool) -> tuple[float, float]:
    """Loss of the scores (N, K) of left-out samples, and their temperature of least loss; NaN scores are ignored."""
    known = np.isfinite(scores).all(1)
    scores, truth = scores[known], truth[known]
    if not classes:
        return float(np.mean((scores[:, 0] - truth) ** 2)), 1.0
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    rows = np.arange(len(truth))

    def loss(log_temperature: float) -> float:
        return float(-log_softmax(np.exp(log_temperature) * scores, axis=1)[rows, truth.astype(int)].mean())

    if not calibrate:
        return loss(0.0), 1.0
    found = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
    return float(found.fun), float(np.exp(found.x))
