"""Costs and scores of the networks of a comparison, at equal samples and at equal CPU time.

Both scores are read from the same validation curves. The learning-rate schedule spans the budget of the training, so
that an intermediate score is not the final score of a shorter training. Networks that are read close to the end of
their schedule are therefore favoured.
"""

from typing import Any

import numpy as np
import pandas as pd

from voxnas.arch.families import family_of
from voxnas.arch.views import input_size
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import read_comparisons, read_leaderboard
from voxnas.complexity.calibration import predict_train_seconds
from voxnas.core.calibration import Calibration
from voxnas.core.measures import validation_measure
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Network
from voxnas.io.records import read_json, read_plan, read_record

COSTS = ["parameters", "macs", "latency_ms", "peak_memory_mib", "train_memory_mib"]


def is_comparison(paths: StudyPaths) -> bool:
    """Whether a study compares networks without a search."""
    return not results.searches(paths)


def has_efficiency(paths: StudyPaths) -> bool:
    """Whether a study is a comparison of networks of which at least one is trained; linear models are fitted."""
    return is_comparison(paths) and any(not family_of(n.architecture).fitted for n in results.networks(paths))


def efficiency(paths: StudyPaths) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute costs and scores of the networks of a benchmarked study.

    Returns
    -------
    table : DataFrame
        One row per network, in the order of the settings: name; parameters, macs, latency_ms, peak_memory_mib and
        train_memory_mib (of a training step); train_ms_per_sample (CPU time of forward, backward and optimizer, as
        calibrated; without a calibration, the same as the next); whole_ms_per_sample (CPU time of the whole training,
        with its data, validations and start); energy_inference_j and energy_train_j (per sample; NaN without a
        counter); test_score with low and high; difference to the first network with difference_low and difference_high;
        samples of the budget; equal_samples with score_equal_samples (mean validation score over seeds at this number
        of samples) and sd_equal_samples; equal_cpu_seconds with score_equal_time and sd_equal_time. A score before the
        first validation of a curve is NaN.
    curves : DataFrame
        name, seed, samples, cpu_seconds (samples times train_ms_per_sample) and score of each validation.
    """
    measure = validation_measure(results.benchmark_spec(paths).task)
    found = [n for n in results.networks(paths) if not family_of(n.architecture).fitted]
    board = read_leaderboard(paths).set_index("name")
    differences = read_comparisons(paths).query("comparison == 'reference'").set_index("first")
    seconds = {n.name: _train_seconds(paths, n) for n in found}
    curves = pd.concat([_curves(paths, n, seconds[n.name][0], measure.sign) for n in found], ignore_index=True)
    least = min(n.samples for n in found)
    time = min(n.samples * seconds[n.name][0] for n in found)
    rows = []
    for network in found:
        own, name = curves[curves.name == network.name], network.name
        energy = read_json(paths.network(network.key) / "profile.json").get("energy", {})
        difference = differences.loc[name] if name in differences.index else pd.Series(dtype=float)
        rows.append(
            {
                "name": name,
                **{cost: board.loc[name, cost] for cost in COSTS},
                "train_ms_per_sample": 1e3 * seconds[name][0],
                "whole_ms_per_sample": 1e3 * seconds[name][1],
                "energy_inference_j": energy.get("inference"),
                "energy_train_j": energy.get("training"),
                **{score: board.loc[name, score] for score in ("test_score", "low", "high")},
                "difference": difference.get("difference"),
                "difference_low": difference.get("low"),
                "difference_high": difference.get("high"),
                "samples": network.samples,
                **_score_at(own, "samples", least, "samples"),
                **_score_at(own, "cpu_seconds", time, "time"),
            }
        )
    numbers = [column for column in rows[0] if column != "name"]
    return pd.DataFrame(rows).astype(dict.fromkeys(numbers, float)), curves


def _train_seconds(paths: StudyPaths, network: Network) -> tuple[float, float]:
    """CPU seconds per training sample: as calibrated, and of the whole training process."""
    spent = [
        results.measured_seconds(paths.seed(network.key, seed)) / max(1, result.samples)
        for seed, result in results.seed_results(paths, network.key).items()
    ]
    whole = float(np.mean(spent))
    if not paths.calibration.exists():
        return whole, whole
    plan, calibration = read_plan(paths.plan), read_record(paths.calibration, Calibration)
    size = input_size(network.architecture, plan)
    return predict_train_seconds(calibration, network.architecture, size, network.recipe.optimizer), whole


def _curves(paths: StudyPaths, network: Network, seconds: float, sign: int) -> pd.DataFrame:
    """Validation scores of all seeds of a network over samples and CPU seconds."""
    tables = []
    for seed in results.seed_results(paths, network.key):
        curve = results.curve(paths, network.key, seed)
        if {"samples", "val_score"} <= set(curve):
            tables.append(
                pd.DataFrame(
                    {
                        "name": network.name,
                        "seed": seed,
                        "samples": curve.samples,
                        "cpu_seconds": curve.samples * seconds,
                        "score": sign * curve.val_score,
                    }
                )
            )
    columns = ["name", "seed", "samples", "cpu_seconds", "score"]
    return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame(columns=columns)


def _score_at(curves: pd.DataFrame, axis: str, place: float, what: str) -> dict[str, Any]:
    """Mean and standard deviation over seeds of the score at a position of an axis, by linear interpolation."""
    scores = [
        # The factor prevents that rounding moves the position beyond the end of the curve.
        np.interp(place * (1 - 1e-9), one[axis], one.score, left=np.nan, right=np.nan)
        for _, one in curves.sort_values("samples").groupby("seed")
    ]
    known = np.array([score for score in scores if np.isfinite(score)])
    return {
        {"samples": "equal_samples", "time": "equal_cpu_seconds"}[what]: place,
        f"score_equal_{what}": known.mean() if known.size else np.nan,
        f"sd_equal_{what}": known.std(ddof=1) if known.size > 1 else np.nan,
    }
