"""Linear models as baselines: on coarse voxels, on brain volume, and on the views of a run.

They use less information than a deep network, and are hard to beat on small samples (Dadi et al. 2019, NeuroImage;
Schulz et al. 2020, Nature Communications). Each is fitted to convergence; its regularisation is selected by
cross-validation inside the training folds.
"""

from functools import partial
from math import prod
from typing import Any

from voxnas.arch.baselines.base import VECTOR, WHOLE, Pair, baseline, vector_loss
from voxnas.arch.families.linear import Linear
from voxnas.core.architecture import Recipe
from voxnas.core.errors import UserError
from voxnas.core.plan import Plan
from voxnas.core.settings import LimitSettings

MOST_VALUES = 30_000  # voxels of a clip as single features; larger clips are averaged to fewer voxels


def _fitted(plan: Plan, **fields: Any) -> Pair:
    architecture = Linear(in_channels=plan.channels, out_channels=plan.outputs, **fields)
    return architecture, Recipe(loss=vector_loss(plan.task), spatial=0.0, intensity=0.0)


@baseline("linear", *VECTOR, fitted=True)
def linear(plan: Plan, limits: LimitSettings) -> Pair:
    """Ridge or logistic regression on voxels of 8 mm.

    Raises
    ------
    UserError
        If the study is one of time series, without maps.
    """
    if plan.timed and plan.view != "maps":
        raise UserError(
            "the baseline `linear` reads volumes", "name maps-ridge, connectivity-ridge or voxel-ridge in its place"
        )
    return _fitted(plan)


@baseline("volume", *VECTOR, fitted=True, reference=False)
def volume(plan: Plan, limits: LimitSettings) -> Pair:
    """Ridge or logistic regression on the number of non-zero voxels, the brain volume in skull-stripped scans.

    It shows how much of a group difference the size of the brain explains.
    """
    return _fitted(plan, features="volume")


def of_view(model: str, plan: Plan, limits: LimitSettings) -> Pair:
    """A linear model on the view of a run: each pair of regions, or the voxels of maps averaged to 8 mm."""
    return _fitted(plan, view=plan.view, model=model)


_of_connectivity = partial(baseline, fitted=True, view="connectivity", units=WHOLE)
_of_connectivity("connectivity-ridge", *VECTOR)(partial(of_view, "ridge"))
_of_connectivity("connectivity-logistic", "classification")(partial(of_view, "logistic"))
_of_connectivity("connectivity-svm", *VECTOR)(partial(of_view, "svm"))
baseline("maps-ridge", *VECTOR, fitted=True, view="maps")(partial(of_view, "ridge"))


@baseline("voxel-ridge", *VECTOR, fitted=True, view="clips", units=("volume",))
def voxel_ridge(plan: Plan, limits: LimitSettings) -> Pair:
    """Ridge regression on all voxels of a clip, without any search for informative ones.

    The decoder of events (Haxby et al. 2001, Science; Mitchell et al. 2004, Machine Learning). Like a network it reads
    all volumes of the clip, and so learns the delay of the response. Voxels are averaged only if a clip has more values
    than :data:`MOST_VALUES`.
    """
    excess = plan.frames * prod(plan.patch) / MOST_VALUES
    voxel_mm = round((excess * prod(plan.spacing)) ** (1 / 3), 1) if excess > 1 else 0.0
    return _fitted(plan, view=plan.view, model="ridge", voxel_mm=voxel_mm)
