"""Permutation test of a cross-validated score against targets that are unrelated to the predictions."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from voxnas.benchmark.leaderboard import class_probabilities
from voxnas.benchmark.statistics import auc_statistic, correlation_statistic
from voxnas.core.measures import Measure

PERMUTATIONS = 999
WIDENING = np.sqrt(2)


def permutation_p(table: pd.DataFrame, measure: Measure, ordered: bool, seed: int, widening: float = WIDENING) -> float:
    """Probability of a score at least as good as the observed one if predictions and targets were unrelated.

    Targets are permuted within folds. Units that have one target each exchange their targets. Otherwise the cases
    within a unit exchange them, since units (sites, runs) may differ in both predictions and targets. Volumes of a run
    exchange whole blocks of equal successive targets, because successive volumes are dependent. If each fold is one
    unit with one target, the units of all folds exchange their targets.

    The predictions of each fold come from a training on the targets of the other folds, so that the scores of the folds
    are correlated, whereas the trainings are not repeated with permuted targets. For a symmetric linear smoother each
    product of two targets of different folds enters the score twice, which doubles its variance. The deviations of the
    permuted scores from their mean are therefore multiplied by the square root of 2, which is conservative for other
    models (``benchmarks/false_positives.py`` measures the errors).

    Parameters
    ----------
    table : DataFrame
        scan, unit (of the splits), fold, and the target with the predictions, one row per case.
    measure : Measure
    ordered : bool
        Whether the cases of a unit are successive volumes, in the order of their names.
    seed : int
        Seed of the permutations.
    widening : float
        Factor of the deviations; 1 for the predictions of one training on other cases.

    Returns
    -------
    float
        Within 1/1000 and 1; NaN for segmentations, whose labels are not exchangeable, and without a score.
    """
    if "target" not in table:
        return float("nan")
    table = table.sort_values("scan", ignore_index=True)
    targets, score = _score_of_targets(table, measure)
    observed = measure.sign * score(targets)
    if not np.isfinite(observed):
        return float("nan")
    groups, rng = _exchangeable(table, targets, ordered), np.random.default_rng(seed)
    null = measure.sign * np.array([score(_permuted(targets, groups, rng)) for _ in range(PERMUTATIONS)])
    null = null.mean() + widening * (null - null.mean())
    return float((1 + np.sum(null >= observed - 1e-12)) / (1 + PERMUTATIONS))


def _score_of_targets(table: pd.DataFrame, measure: Measure) -> tuple[np.ndarray, Callable[[np.ndarray], float]]:
    """Targets of the cases, and the score of the predictions as a function of the targets."""
    folds, one = table.fold.to_numpy(), np.ones((1, len(table)))
    if measure.name == "auc":
        probabilities, targets = class_probabilities(table)
        return targets, lambda t: float(auc_statistic(probabilities, t, folds)(one)[0, 0])
    targets, predicted = table.target.to_numpy(), table.predicted.to_numpy()
    if measure.name == "r":
        return targets, lambda t: float(correlation_statistic(predicted, t, folds)(one)[0, 0])
    if measure.name == "accuracy":
        return targets, lambda t: float(np.mean(predicted == t))
    return targets, lambda t: float(np.abs(predicted - t).mean())


def _exchangeable(table: pd.DataFrame, targets: np.ndarray, ordered: bool) -> list[list[np.ndarray]]:
    """Groups of blocks of cases; the blocks of a group exchange their targets."""
    units, folds = table.unit.to_numpy(), table.fold.to_numpy()
    within = {unit: np.flatnonzero(units == unit) for unit in np.unique(units)}
    if all((targets[cases] == targets[cases[0]]).all() for cases in within.values()):
        alone = len(within) == len(np.unique(folds))
        names = np.unique(folds) if not alone else [None]
        return [[c for c in within.values() if fold is None or folds[c[0]] == fold] for fold in names]
    if not ordered:
        return [[cases[i : i + 1] for i in range(len(cases))] for cases in within.values()]
    return [np.split(c, np.flatnonzero(targets[c][1:] != targets[c][:-1]) + 1) for c in within.values()]


def _permuted(targets: np.ndarray, groups: list[list[np.ndarray]], rng: np.random.Generator) -> np.ndarray:
    """Targets after an exchange between the blocks of each group; blocks keep their lengths."""
    found = targets.copy()
    for blocks in groups:
        values = [targets[block[0]] for block in blocks]
        for block, chosen in zip(blocks, rng.permutation(len(blocks)), strict=True):
            found[block] = values[chosen]
    return found
