"""Coverage of the intervals that the tables of the benchmark print, by simulation with known true scores.

    python benchmarks/coverage.py --output FOLDER [--repeats 1000]

writes coverage.tsv: one row per regime, with the share of repetitions in which an interval is printed (``printed``),
the share of these that contain the true score (``coverage``, nominal 0.95), and its Monte Carlo standard error
(``error``). About two minutes on one core. The true score is that of new units and new trainings; with fewer than three
seeds, it is that of new units for these trainings, as the note of such an interval says.
"""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from voxnas.benchmark.statistics import (
    LEAST_SEEDS,
    Comparison,
    Interval,
    Statistic,
    auc_statistic,
    correlation_statistic,
    mean_statistic,
)
from voxnas.io.tables import write_table

CONFIDENCE, DICE, INTERACTION = 0.95, 0.9, 0.02
Draw = Callable[[np.random.Generator], tuple[Interval, float]]  # an interval and the true value


class Regime(NamedTuple):
    """A kind of interval under one set of circumstances."""

    kind: str
    detail: str
    seeds: int
    units: int
    draw: Draw


def score(units: np.ndarray, statistic: Statistic) -> Interval:
    """Interval of one score."""
    return Comparison(units, CONFIDENCE).score(statistic)


def seed_effects(rng: np.random.Generator, seeds: int, spread: float) -> tuple[np.ndarray, float]:
    """Effects of the trainings (S, 1), and their contribution to the true score."""
    effects = rng.normal(0, spread, (seeds, 1))
    return effects, 0.0 if seeds >= LEAST_SEEDS else float(effects.mean())


def mean_dice(seeds: int, cases: int, spread: float) -> Regime:
    """Left-skewed scores of cases, with effects of seeds and an interaction."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        effects, shift = seed_effects(rng, seeds, spread)
        values = rng.beta(18, 2, cases) + effects + rng.normal(0, INTERACTION, (seeds, cases))
        return score(np.arange(cases), mean_statistic(values, "share")), DICE + shift

    return Regime("mean Dice", f"seed spread {spread}", seeds, cases, draw)


def dice_difference(seeds: int, cases: int, spread: float) -> Regime:
    """Two networks on the same cases and folds; heavy-tailed differences between cases."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        effects, shift = seed_effects(rng, seeds, spread)
        second = rng.beta(18, 2, cases) + rng.normal(0, 0.02, (seeds, 1)) + rng.normal(0, INTERACTION, (seeds, cases))
        first = second + 0.01 + effects + 0.02 * rng.standard_t(4, cases) + rng.normal(0, INTERACTION, (seeds, cases))
        pair = mean_statistic(first, "share"), mean_statistic(second, "share")
        return Comparison(np.arange(cases), CONFIDENCE).difference(*pair), 0.01 + shift

    return Regime("difference of Dice", f"seed spread {spread}", seeds, cases, draw)


def grouped_dice(kind: str, units: int, most: int, least: int, spread: float) -> Regime:
    """Three seeds; each unit (participant or site) has several scans and an effect of its own."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        member = np.repeat(np.arange(units), rng.integers(least, most + 1, units))
        effects, _ = seed_effects(rng, 3, 0.005)
        cases = rng.beta(18, 2, len(member)) + rng.normal(0, spread, units)[member]
        values = cases + effects + rng.normal(0, INTERACTION, (3, len(member)))
        return score(member, mean_statistic(values, "share")), DICE

    return Regime(kind, f"{least} to {most} scans each, spread of the units {spread}", 3, units, draw)


def latent(rng: np.random.Generator, seeds: int, cases: int, shared: float) -> np.ndarray:
    """Standard normal scores (S, N) of which a share is common to all seeds."""
    return np.sqrt(shared) * rng.normal(size=cases) + np.sqrt(1 - shared) * rng.normal(size=(seeds, cases))


def auc_of(scores: np.ndarray, positive: np.ndarray) -> Statistic:
    """AUC of scores (S, N), as the probabilities of two classes."""
    share = norm.cdf(scores / 4)
    return auc_statistic(np.stack([1 - share, share], -1), positive.astype(int))


def auc(area: float, cases: int, seeds: int = 3, rare: float = 0.5) -> Regime:
    """Normal scores of two classes; all trainings have the same true AUC."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        positive = np.arange(cases) < round(rare * cases)
        scores = latent(rng, seeds, cases, 0.7) + norm.ppf(area) * np.sqrt(2) * positive
        return score(np.arange(cases), auc_of(scores, positive)), area

    return Regime("AUC", f"true AUC {area}, positive {rare:.0%}", seeds, cases, draw)


def auc_difference(cases: int) -> Regime:
    """Two networks with AUC 0.85 and 0.75 whose scores correlate."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        positive, common = np.arange(cases) % 2 == 1, rng.normal(size=cases)
        pair = [
            auc_of(
                np.sqrt(0.5) * common + np.sqrt(0.5) * latent(rng, 3, cases, 0.5) + norm.ppf(a) * np.sqrt(2) * positive,
                positive,
            )
            for a in (0.85, 0.75)
        ]
        return Comparison(np.arange(cases), CONFIDENCE).difference(*pair), 0.1

    return Regime("difference of AUC", "0.85 and 0.75", 3, cases, draw)


def auc_of_sites(sites: int) -> Regime:
    """Twenty participants at each site; the separation of the classes differs between sites."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        member = np.repeat(np.arange(sites), 20)
        positive = np.arange(len(member)) % 2 == 1
        scores = latent(rng, 3, len(member), 0.7) + (1.2 + rng.normal(0, 0.3, sites))[member] * positive
        return score(member, auc_of(scores, positive)), float(norm.cdf(1.2 / np.sqrt(2 + 0.3**2)))

    return Regime("AUC of sites", "20 participants each", 3, sites, draw)


def correlation(r: float, cases: int) -> Regime:
    """Normal predictions that correlate with a normal target."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        target = rng.normal(size=cases)
        predicted = r * target + np.sqrt(1 - r**2) * latent(rng, 3, cases, 0.7)
        return score(np.arange(cases), correlation_statistic(predicted, target)), r

    return Regime("r", f"true r {r}", 3, cases, draw)


def correlation_difference(cases: int) -> Regime:
    """Two networks with r 0.6 and 0.4."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        target, common = rng.normal(size=cases), rng.normal(size=cases)
        pair = []
        for r in (0.6, 0.4):
            rest = np.sqrt(0.5) * common + np.sqrt(0.5) * latent(rng, 3, cases, 0.5)
            pair.append(correlation_statistic(r * target + np.sqrt(1 - r**2) * rest, target))
        return Comparison(np.arange(cases), CONFIDENCE).difference(*pair), 0.6 - 0.4

    return Regime("difference of r", "0.6 and 0.4", 3, cases, draw)


def mean_error(cases: int) -> Regime:
    """Absolute errors of normal predictions."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        errors = np.abs(latent(rng, 3, cases, 0.7))
        return score(np.arange(cases), mean_statistic(errors, "positive")), np.sqrt(2 / np.pi)

    return Regime("mean absolute error", "normal errors", 3, cases, draw)


def accuracy(share: float, cases: int) -> Regime:
    """Cases that are right with a common probability."""

    def draw(rng: np.random.Generator) -> tuple[Interval, float]:
        right = latent(rng, 3, cases, 0.7) < norm.ppf(share)
        return score(np.arange(cases), mean_statistic(right, "share")), share

    return Regime("accuracy", f"true accuracy {share}", 3, cases, draw)


def regimes() -> Iterator[Regime]:
    """All regimes of the published table."""
    for seeds in (1, 2, 3, 5):
        for cases in (10, 20, 40):
            for spread in (0.003, 0.008, 0.02):
                yield mean_dice(seeds, cases, spread)
                yield dice_difference(seeds, cases, spread)
    yield from (grouped_dice("mean Dice of participants", units, 4, 1, 0.03) for units in (10, 20, 40))
    yield from (grouped_dice("mean Dice of sites", sites, 25, 15, 0.05) for sites in (2, 3, 5, 8))
    yield from (auc_of_sites(sites) for sites in (2, 3, 5, 8, 13))
    yield from (auc(area, cases) for area in (0.5, 0.7, 0.85, 0.95) for cases in (20, 40, 100))
    yield from (auc(0.7, cases, rare=0.2) for cases in (20, 40, 100))
    yield from (auc_difference(cases) for cases in (20, 40, 100))
    yield from (correlation(r, cases) for r in (0.0, 0.5, 0.9) for cases in (20, 40, 100))
    yield from (correlation_difference(cases) for cases in (20, 40, 100))
    yield from (mean_error(cases) for cases in (10, 20, 40))
    yield from (accuracy(share, cases) for share in (0.6, 0.8, 0.9) for cases in (20, 40, 100))


def measure(regime: Regime, repeats: int, seed: int) -> dict[str, object]:
    """Coverage in one regime, as a row of the table."""
    rng = np.random.default_rng(seed)
    found = [regime.draw(rng) for _ in range(repeats)]
    covered = [i.low <= truth <= i.high for i, truth in found if np.isfinite(i.low)]
    rate = float(np.mean(covered)) if covered else np.nan
    error = float(np.sqrt(rate * (1 - rate) / len(covered))) if covered else np.nan
    facts = {"kind": regime.kind, "detail": regime.detail, "seeds": regime.seeds, "units": regime.units}
    printed = len(covered) / repeats
    return {**facts, "repeats": repeats, "printed": round(printed, 3), "coverage": rate, "error": round(error, 4)}


def main() -> None:
    """Measure the coverage in all regimes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for coverage.tsv")
    parser.add_argument("--repeats", type=int, default=1000, help="repetitions of each regime")
    arguments = parser.parse_args()
    table = pd.DataFrame([measure(r, arguments.repeats, seed) for seed, r in enumerate(regimes())])
    arguments.output.mkdir(parents=True, exist_ok=True)
    write_table(arguments.output / "coverage.tsv", table.round({"coverage": 4}))
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
