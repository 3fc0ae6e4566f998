"""The measures of networks: their names, directions and digits, and the measure of each task."""

import math
from dataclasses import dataclass

from voxnas.core.spec import BenchmarkSpec
from voxnas.core.trial import Result


@dataclass(frozen=True)
class Measure:
    """A measure that ranks networks; `sign` is 1 if larger is better, else -1, `low` and `high` bound its values."""

    name: str
    article: str
    title: str
    sign: int
    digits: int
    low: float = 0.0
    high: float = 1.0


MEASURES = {
    "dice": Measure("dice", "a", "mean Dice", 1, 4),
    "auc": Measure("auc", "an", "AUC", 1, 3),
    "accuracy": Measure("accuracy", "an", "accuracy", 1, 3),
    "mae": Measure("mae", "a", "mean absolute error", -1, 3, high=math.inf),
    "r": Measure("r", "a", "correlation with the target", 1, 3, low=-1.0),
}
USUAL = {"segmentation": "dice", "classification": "auc", "regression": "mae"}


def ranking_measure(spec: BenchmarkSpec) -> Measure:
    """Measure that ranks the networks on the test split."""
    return MEASURES[USUAL[spec.task] if spec.measure == "auto" else spec.measure]


def validation_measure(task: str) -> Measure:
    """Measure of the validation scores that steer the searches of a task."""
    return MEASURES[USUAL[task]]


def validation_score(result: Result, measure: Measure) -> float | None:
    """Validation score of a training in a measure, in natural units; None if it has none."""
    if result.valid_score is None or measure.name in USUAL.values():
        return None if result.valid_score is None else measure.sign * result.valid_score
    return result.metrics.get(measure.name)
