"""Baselines: hand-made networks and linear models, in one table."""

from voxnas.core.baselines import handmade, linear, runs  # noqa: F401 - each enters its own
from voxnas.core.baselines.base import BASELINES, Baseline, Pair, baselines_for, usable_stages, vector_loss, within

__all__ = ["BASELINES", "Baseline", "Pair", "baselines_for", "usable_stages", "vector_loss", "within"]
