"""Baselines: hand-made networks and linear models, in one table."""

from voxnas.arch.baselines import block_comparison, handmade, linear, time_series  # noqa: F401 - registers them
from voxnas.arch.baselines.base import BASELINES, Baseline, Pair, baselines_for, vector_loss, within_limits

__all__ = ["BASELINES", "Baseline", "Pair", "baselines_for", "vector_loss", "within_limits"]
