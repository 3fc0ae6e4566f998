"""Linear models as baselines: on coarse voxels, on brain volume, and on the views of a run.

They discard what a deep network could use, and are hard to beat on small samples (Dadi et al. 2019, NeuroImage; Schulz
et al. 2020, Nature Communications). Each is fitted to convergence, with its regularisation chosen inside the training
folds, so that there is nothing to train.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from typing import Any

from voxnas.core.architecture import Linear, Recipe
from voxnas.core.baselines.base import BASELINES, Baseline, Pair, vector_loss
from voxnas.core.errors import UserError

VECTOR = ("classification", "regression")
WHOLE = ("run", "participant")  # units of which a view of the whole run says something
MOST_VALUES = 30_000  # of a clip that are weighed one by one; of finer ones averages are


def _fitted(plan: Mapping[str, Any], **fields: Any) -> Pair:
    architecture = Linear(in_channels=plan["channels"], out_channels=plan["outputs"], **fields)
    return architecture, Recipe(loss=vector_loss(plan["task"]), augmentation=0.0)


def linear(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """Ridge or logistic regression on voxels of 8 mm: what no network should lose to.

    Raises
    ------
    UserError
        If the study is one of time series, without maps.
    """
    if plan.get("timed") and plan.get("view") != "maps":
        raise UserError(
            "the baseline `linear` reads volumes", "name maps-ridge, connectivity-ridge or voxel-ridge in its place"
        )
    return _fitted(plan)


def volume(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """Ridge or logistic regression on the number of non-zero voxels, which of scans without skull is brain volume.

    What differs between groups in the size of the head alone, no network has to find.
    """
    return _fitted(plan, features="volume")


def of_view(model: str, plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """A linear model on the view of a run: each pair of regions, or the voxels of maps averaged to 8 mm."""
    return _fitted(plan, view=plan["view"], model=model)


def voxel_ridge(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """Ridge regression on all voxels of a clip, without any search for informative ones.

    The decoder of events (Haxby et al. 2001, Science; Mitchell et al. 2004, Machine Learning), which sees what a
    network sees: each of the clip's volumes, so that it finds its own delay. Voxels are averaged only where a clip
    has more than :data:`MOST_VALUES`.
    """
    excess = plan["frames"] * prod(plan["patch"]) / MOST_VALUES
    voxel_mm = round((excess * prod(plan["spacing"])) ** (1 / 3), 1) if excess > 1 else 0.0
    return _fitted(plan, view=plan["view"], model="ridge", voxel_mm=voxel_mm)


_fit = partial(Baseline, scaled=True, fitted=True)
for _name, _one in {
    "linear": _fit(linear, VECTOR),
    "volume": _fit(volume, VECTOR, reference=False),
    "connectivity-ridge": _fit(partial(of_view, "ridge"), VECTOR, view="connectivity", units=WHOLE),
    "connectivity-logistic": _fit(partial(of_view, "logistic"), ("classification",), view="connectivity", units=WHOLE),
    "connectivity-svm": _fit(partial(of_view, "svm"), VECTOR, view="connectivity", units=WHOLE),
    "maps-ridge": _fit(partial(of_view, "ridge"), VECTOR, view="maps"),
    "voxel-ridge": _fit(voxel_ridge, VECTOR, view="clips", units=("volume",)),
}.items():
    BASELINES.register(_name)(_one)
