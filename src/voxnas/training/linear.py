"""The linear baseline: ridge or logistic regression on voxels averaged to a coarse grid.

Fitted by scikit-learn in closed form or to convergence, with the regularisation chosen by
cross-validation inside the training folds; kept and applied as a linear layer of torch, so that
prediction needs no scikit-learn and no pickle.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.core.architecture import Linear
from voxnas.core.linear_baselines import linear_size
from voxnas.data.dataset import StudyData
from voxnas.training.sampler import centred_start, crop_or_pad
from voxnas.training.targets import Targets

RIDGE_ALPHAS = np.logspace(-1, 6, 15)
LOGISTIC_CS = np.logspace(-6, 2, 9)
INNER_FOLDS = 5


class LinearModel(nn.Module):
    """Average pooling to a grid, then a linear layer.

    Parameters
    ----------
    channels, outputs : int
        Of the image and of the prediction.
    grid : 3 ints
        Size (D, H, W) after pooling.
    """

    grid: Tensor

    def __init__(self, channels: int, outputs: int, grid: tuple[int, int, int]) -> None:
        super().__init__()
        self.register_buffer("grid", torch.tensor(grid))
        self.linear = nn.Linear(channels * grid[0] * grid[1] * grid[2], outputs)

    @classmethod
    def empty(cls, architecture: Linear, tensors: Mapping[str, Tensor]) -> LinearModel:
        """A model of the size that the saved tensors have."""
        d, h, w = tensors["grid"].tolist()
        return cls(architecture.in_channels, architecture.out_channels, (d, h, w))

    def features(self, x: Tensor) -> Tensor:
        """Averages over the coarse voxels, (B, C, D, H, W) to (B, F)."""
        return F.adaptive_avg_pool3d(x, tuple(self.grid.tolist())).flatten(1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits or values, (B, C, D, H, W) to (B, K); in float32 always, for it costs nothing."""
        with torch.autocast(x.device.type, enabled=False):
            return self.linear(self.features(x))


def fit_linear(architecture: Linear, data: StudyData, scans: list[str], targets: Targets, seed: int) -> LinearModel:
    """Fit the baseline on the training scans.

    Parameters
    ----------
    architecture : Linear
        Says the size of the coarse voxels.
    data : StudyData
    scans : list of str
        The training scans; the inner cross-validation stays within them.
    targets : Targets
        Classification, or regression (the model predicts standardised values).
    seed : int
        Of the inner folds.
    """
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = LinearModel(architecture.in_channels, architecture.out_channels, linear_size(architecture, data.plan))
    patch = data.plan["patch"]
    with torch.inference_mode():
        rows = []
        for scan in scans:
            image = data.image(scan)
            rows.append(model.features(crop_or_pad(image, centred_start(image.shape[1:], patch), patch)[None])[0])
        features = torch.stack(rows).double().numpy()
    truth = torch.stack([targets.encode(data.target(scan)) for scan in scans]).numpy()
    if targets.task == "classification":
        folds = min(INNER_FOLDS, int(np.bincount(truth, minlength=len(targets.classes))[np.unique(truth)].min()))
        estimator, grid, score = (
            LogisticRegression(max_iter=2000),
            {"logisticregression__C": LOGISTIC_CS},
            "neg_log_loss",
        )
        inner = StratifiedKFold(folds, shuffle=True, random_state=seed) if folds > 1 else None
    else:
        estimator, grid, score = Ridge(), {"ridge__alpha": RIDGE_ALPHAS}, "neg_mean_squared_error"
        inner = KFold(min(INNER_FOLDS, len(scans)), shuffle=True, random_state=seed)
    pipeline = make_pipeline(StandardScaler(), estimator)
    if inner is not None:
        # A class with a single scan leaves nothing to choose the regularisation by.
        pipeline = GridSearchCV(pipeline, grid, cv=inner, scoring=score).fit(features, truth).best_estimator_
    else:
        pipeline.fit(features, truth)
    scaler, fitted = pipeline[0], pipeline[1]
    weight = np.atleast_2d(fitted.coef_) / scaler.scale_
    bias = np.atleast_1d(fitted.intercept_) - weight @ scaler.mean_
    if targets.task == "classification" and len(weight) == 1:
        weight, bias = np.vstack([0 * weight, weight]), np.concatenate([[0.0], bias])
    with torch.no_grad():
        model.linear.weight.copy_(torch.from_numpy(weight))
        model.linear.bias.copy_(torch.from_numpy(bias))
    return model.eval()
