"""What the locked test split of a study can show at its size, computed before anything is trained.

The independent observations are the units of the locked test split. The paired difference between two networks is the
smallest that a two-sided paired t-test at 5 % detects with a power of 80 % (noncentral t distribution; Cohen 1988,
Statistical Power Analysis for the Behavioral Sciences, chapter 2), in standard deviations of the unit differences.
Two typical standard deviations translate it: 0.015 Dice, from the published comparisons of the hippocampus study (half
widths of 0.004 to 0.005 over 40 scans), and sqrt(0.2) for accuracy, where two networks disagree on one case in five.
Tests against chance are one-sided at 5 %: binomial for the accuracy, Mann-Whitney for the AUC, t for the correlation.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from voxnas.core.splits import Splits

POWER, LEVEL = 0.8, 0.05
TYPICAL_SD = {"segmentation": (0.015, "Dice"), "classification": (math.sqrt(0.2), "accuracy")}
LEAST_UNITS = 5  # with fewer independent units, tables print no interval


def detectable_difference(units: int) -> float:
    """Return the smallest paired difference that is detected, in standard deviations of the differences.

    Parameters
    ----------
    units : int
        Independent units, at least 2.
    """
    from scipy.optimize import brentq
    from scipy.stats import nct, t

    edge = t.ppf(1 - LEVEL / 2, units - 1)

    def missing_power(size: float) -> float:
        return float(nct.sf(edge, units - 1, size * math.sqrt(units))) - POWER

    return float(brentq(missing_power, 1e-3 / math.sqrt(units), 30 / math.sqrt(units)))


def smallest_accuracy(cases: int, chance: float) -> float | None:
    """Return the smallest accuracy significantly above `chance`; None if not even all cases right are significant."""
    from scipy.stats import binom

    right = int(binom.isf(LEVEL, cases, chance)) + 1
    return right / cases if right <= cases else None


def smallest_auc(first: int, second: int) -> float | None:
    """Return the smallest AUC of two classes with `first` and `second` cases that is significantly above 0.5."""
    from scipy.stats import norm

    if not first or not second:
        return None
    auc = 0.5 + float(norm.isf(LEVEL)) * math.sqrt((first + second + 1) / (12 * first * second))
    return auc if auc <= 1 else None


def smallest_correlation(cases: int) -> float | None:
    """Return the smallest correlation that is significantly above 0; None for fewer than three cases."""
    from scipy.stats import t

    if cases < 3:
        return None
    edge = float(t.isf(LEVEL, cases - 2))
    return edge / math.sqrt(cases - 2 + edge**2)


def describe_size(scans: pd.DataFrame, splits: Splits, task: str, identified: bool) -> list[str]:
    """Return sentences about what the locked test split can show.

    Parameters
    ----------
    scans : DataFrame
        The index: scan, participant and target.
    splits : Splits
    task : str
    identified : bool
        Whether the data set names its participants; otherwise every scan counts as a unit.
    """
    unit = splits.unit if identified or splits.unit != "participant" else "scan"
    units = [len({splits.unit_of(scan) for scan in part}) for part in (splits.test, *splits.folds)]
    tested, folds = units[0], units[1:]
    members = "block" if splits.unit == "block" else "scan"
    of = f" of {tested} {unit}s" if unit != members else ""
    sizes = f"{min(folds)} to {max(folds)}" if max(folds) > min(folds) else min(folds)
    said = [
        f"The locked test split has {len(splits.test)} {members}s{of}; {len(folds)} folds have {sizes} {unit}s each."
    ]
    if tested < LEAST_UNITS:
        said.append(f"Fewer than {LEAST_UNITS} {unit}s are too few for an interval of the test score.")
    if tested > 1:
        size = detectable_difference(tested)
        sd, measure = TYPICAL_SD.get(task, (None, ""))
        typical = f", which is {size * sd:.2g} {measure} if that is {sd:.2g}" if sd else ""
        said.append(
            f"The smallest difference between two networks that is detected with {POWER:.0%} power is {size:.2f} "
            f"standard deviations of the differences between {unit}s{typical}."
        )
    people = scans[scans["scan"].isin(splits.test)].drop_duplicates("participant")
    if not splits.within and task != "segmentation":
        said += _against_chance(list(people["target"].dropna()), task)
    return said


def _against_chance(targets: Sequence[str], task: str) -> list[str]:
    """Return the scores from which a network differs from chance, for independent cases."""
    if task == "regression":
        least = smallest_correlation(len(targets))
        return [] if least is None else [f"The smallest significant correlation is {least:.2f}."]
    counts: Mapping[str, int] = Counter(targets)
    if not counts:
        return []
    chance = max(counts.values()) / len(targets)
    least = smallest_accuracy(len(targets), chance)
    said = [
        f"The most frequent class gives an accuracy of {chance:.2f} by chance; "
        + ("no accuracy" if least is None else f"an accuracy of at least {least:.2f}")
        + " is significantly better."
    ]
    if len(counts) == 2:
        auc = smallest_auc(*counts.values())
        said.append("No AUC is significant." if auc is None else f"The smallest significant AUC is {auc:.2f}.")
    return said
