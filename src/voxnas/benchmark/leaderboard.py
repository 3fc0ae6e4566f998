"""Leaderboard and paired comparisons of a study.

The winner is the searched finalist with the best mean validation score over its seeds, in the measure of the study. The
test split determines the order of the table, but no selection.
"""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from voxnas.benchmark import results
from voxnas.benchmark.metrics import classification_scores, regression_scores
from voxnas.benchmark.published import published_statistic
from voxnas.benchmark.results import ENSEMBLE
from voxnas.benchmark.statistics import (
    Comparison,
    Statistic,
    auc_statistic,
    correlation_statistic,
    holm,
    mean_statistic,
    verdict,
)
from voxnas.core.architecture import further_copies
from voxnas.core.errors import UserError
from voxnas.core.measures import Measure, ranking_measure, validation_score
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import BenchmarkSpec
from voxnas.core.strategies import method_of
from voxnas.core.trial import DERIVED, LINEAR, PER_FRAME, PRUNED, SCRATCH, Network
from voxnas.io.records import read_json
from voxnas.io.tables import read_table

SEGMENTATION_SCORES = ("dice", "nsd", "hd95_mm")
ENSEMBLE_SUFFIX = " (ensemble)"
INTERVAL = ["low", "high", "note"]
PAIR = ["comparison", "first", "second", "measure"]
TEST = ["difference", "low", "high", "p", "p_holm", "verdict", "note", "scans", "units", "participants"]


def benchmark(paths: StudyPaths) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Compute both tables of a study.

    Returns
    -------
    leaderboard : DataFrame
        One row per network and one per ensemble, best test score first: rank, name, winner,
        source, key, seeds, parameters, macs, latency_ms, peak_memory_mib, train_memory_mib,
        validation_score and its standard deviation over seeds, test_score with the bounds low
        and high and a note (why there is no interval, or what it leaves out), further test
        scores, numbers of scans, independent units and participants, origin and step (origin and
        number of the search step that began the network's trial), and the costs of search and
        training in samples and in predicted and measured CPU seconds. Scores are in natural
        units (an error is positive).
    comparisons : DataFrame
        The winner against all other rows, and the best network of the first search method against the best network of
        each other method (in a study without a search, each network against the first network), each pruned network
        against its architecture trained from fresh weights, and the winner and the
        networks derived from it against each published reference: comparison, first,
        second, measure, difference (positive: the first is better), low, high, p (two-sided), p_holm (adjusted by Holm
        for the number of distinct pairs of the table), verdict (from p_holm: better, worse, indistinguishable or
        untested), note, scans, units, participants.

    Raises
    ------
    UserError
        If a network has no results, or two networks were scored on different scans.
    """
    spec = results.benchmark_spec(paths)
    task, measure = spec.task, ranking_measure(spec)
    found = results.networks(paths)
    if not found:
        raise UserError(f"{paths.finalists} contains no network", "add search.methods or baselines.names to the study")
    tables = {n.key: results.cases(paths.cases(n.key), task) for n in found}
    validations = {n.name: validation_scores(paths, n, measure) for n in found}
    means = {name: float(scores.mean()) for name, scores in validations.items()}
    winner = choose_winner(found, means, measure.sign)

    scans = _common_scans(tables)
    comparison = Comparison(scans.unit, spec.confidence)
    sizes = {"scans": len(scans), "units": scans.unit.nunique(), "participants": scans.participant.nunique()}
    rows, statistics = [], {}
    for network in found:
        table = tables[network.key]
        single = network.name
        parts = {single: table[table.seed != ENSEMBLE]}
        if parts[single].seed.nunique() > 1:
            parts[f"{single}{ENSEMBLE_SUFFIX}"] = table[table.seed == ENSEMBLE]
        for name, part in parts.items():
            statistics[name] = case_statistic(part, measure.name)
            interval = comparison.score(statistics[name])
            rows.append(
                {
                    "name": name,
                    "winner": network.name == winner.name and name == single,
                    "source": network.source,
                    "key": network.key,
                    **_profile(paths, network, spec, 1 if name == single else parts[single].seed.nunique()),
                    "validation_score": means[single] if name == single else np.nan,
                    "validation_sd": validations[single].std() if name == single else np.nan,
                    "test_score": interval.estimate,
                    **{column: getattr(interval, column) for column in INTERVAL},
                    **further_scores(part, task, measure.name),
                    **sizes,
                    **_search_cost(paths, winner if network.source in DERIVED else network),
                    **_training_cost(paths, network),
                }
            )
    leaderboard = pd.DataFrame(rows).sort_values(
        ["test_score", "name"], ascending=[measure.sign < 0, True], ignore_index=True
    )
    leaderboard.insert(0, "rank", range(1, len(leaderboard) + 1))

    pairs = [("winner", winner.name, name) for name in leaderboard.name if name != winner.name]
    best = best_of_methods(found, means, measure.sign)
    pairs += [("methods", best[0], other) for other in best[1:]]
    pairs += [
        ("compression", pruned.name, control.name)
        for pruned in found
        for control in found
        if (pruned.source, control.source) == (PRUNED, SCRATCH) and pruned.architecture == control.architecture
    ]
    if not results.searches(paths):
        pairs += [("reference", n.name, found[0].name) for n in found[1:]]
    for name, file in spec.published.items():
        statistics[name] = published_statistic(file, list(scans.scan), measure.name)
        pairs += [("published", n.name, name) for n in found if n is winner or n.derivation]
    found_pairs = []
    for kind, first, second in pairs:
        interval = comparison.difference(*(statistics[first], statistics[second])[:: measure.sign])
        facts = {"difference": interval.estimate, "p": interval.p} | {c: getattr(interval, c) for c in INTERVAL}
        pair = dict(zip(PAIR, (kind, first, second, measure.name), strict=True))
        found_pairs.append({**pair, **facts, **sizes})
    comparisons = pd.DataFrame(found_pairs, columns=[c for c in PAIR + TEST if c not in ("p_holm", "verdict")])
    return leaderboard, adjust(comparisons, spec.confidence)[PAIR + TEST]


def adjust(comparisons: pd.DataFrame, confidence: float) -> pd.DataFrame:
    """Add the columns ``p_holm`` and ``verdict``; a pair that occurs twice, in any order, counts as one test."""
    pairs = [tuple(sorted(pair)) for pair in zip(comparisons["first"], comparisons["second"], strict=True)]
    distinct = dict(zip(pairs, comparisons.p, strict=True))
    adjusted = dict(zip(distinct, holm(list(distinct.values())), strict=True))
    p_holm = [adjusted[pair] for pair in pairs]
    words = [verdict(d, p, confidence) for d, p in zip(comparisons.difference, p_holm, strict=True)]
    return comparisons.assign(p_holm=p_holm, verdict=words)


def read_leaderboard(paths: StudyPaths) -> pd.DataFrame:
    """Read the leaderboard, with typed columns."""
    texts = ("name", "winner", "source", "key", "note", "origin")
    table = read_table(paths.leaderboard, dict.fromkeys(texts, str))
    numbers = dict.fromkeys((c for c in table.columns if c not in texts), float)
    return table.astype(numbers).assign(winner=table.winner == "True")


def without_ensembles(board: pd.DataFrame) -> pd.DataFrame:
    """Rows of a leaderboard that are networks with the mean over their seeds, and not ensembles."""
    return board[~board.name.str.endswith(ENSEMBLE_SUFFIX)]


def winning_network(paths: StudyPaths) -> Network:
    """Record of the winner of the leaderboard."""
    board = read_leaderboard(paths)
    name = board.name[board.winner].iloc[0]
    return next(n for n in results.networks(paths) if n.name == name)


def read_comparisons(paths: StudyPaths) -> pd.DataFrame:
    """Read the paired comparisons."""
    return read_table(paths.comparisons, dict.fromkeys(["difference", "low", "high", "p", "p_holm"], float))


def is_searched(source: str) -> bool:
    """Whether the source of a network is a search method, in contrast to baselines and derived networks."""
    return not source.startswith("baseline") and source not in {LINEAR, PER_FRAME, *DERIVED}


def choose_winner(found: list[Network], validation: dict[str, float], sign: int) -> Network:
    """Choose the searched network with the best mean validation score; the first of tied networks.

    Without a searched network, the winner is chosen among the baselines.

    Parameters
    ----------
    found : list of Network
    validation : dict
        Mean validation score by name, in natural units; NaN if all seeds failed.
    sign : int
        1 if larger is better, else -1.
    """
    candidates = [n for n in found if is_searched(n.source)] or [n for n in found if n.source not in DERIVED]
    return max(candidates, key=lambda n: (np.nan_to_num(sign * validation[n.name], nan=-np.inf), -n.rank))


def best_of_methods(found: list[Network], validation: dict[str, float], sign: int) -> list[str]:
    """Names of the best network of each method by validation, random search last."""
    methods = {method_of(n.source) for n in found if is_searched(n.source)}
    of_method = {m: [n for n in found if is_searched(n.source) and method_of(n.source) == m] for m in methods}
    order = sorted(methods, key=lambda method: (method == "random", method))
    return [choose_winner(of_method[method], validation, sign).name for method in order]


def case_statistic(table: pd.DataFrame, measure: str, folds: ArrayLike = 0) -> Statistic:
    """Measure of a table of cases, as a function of the weights of the cases; AUC and correlation within folds."""
    if measure == "auc":
        probabilities, targets = class_probabilities(table)
        return auc_statistic(probabilities, targets, folds)

    def by_seed(column: pd.Series) -> np.ndarray:
        return table.assign(value=column).pivot(index="seed", columns="scan", values="value").to_numpy(float)

    if measure == "r":
        return correlation_statistic(by_seed(table.predicted), by_seed(table.target)[0], folds)
    if measure == "accuracy":
        return mean_statistic(by_seed(table.predicted == table.target), "share")
    if measure == "dice":
        return mean_statistic(by_seed(table.dice), "share")
    return mean_statistic(by_seed(table.absolute_error), "positive")


def further_scores(table: pd.DataFrame, task: str, measure: str) -> dict[str, float]:
    """Test scores other than the ranking measure, as means over seeds (and cases)."""
    if task == "segmentation":
        names = [c for c in table.columns if c.startswith(SEGMENTATION_SCORES) and c != "dice"]
        return {name: float(table[name].mean()) for name in names}
    per_seed = []
    for _, part in table.groupby("seed"):
        if task == "classification":
            probabilities, targets = class_probabilities(part)
            per_seed.append(classification_scores(targets, probabilities[0]))
        else:
            per_seed.append(regression_scores(part.target.to_numpy(), part.predicted.to_numpy()))
    means = pd.DataFrame(per_seed).mean()
    return {str(name): float(value) for name, value in means.items() if name != measure}


def class_probabilities(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities (S, N, K), and the class index of each case (N,); cases sorted by scan."""
    columns = [c for c in table.columns if c.startswith("probability_")]
    classes = [c.removeprefix("probability_") for c in columns]
    seeds = [part.sort_values("scan") for _, part in table.groupby("seed")]
    targets = np.array([classes.index(t) for t in seeds[0].target])
    return np.stack([part[columns].to_numpy() for part in seeds]), targets


def _common_scans(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
    """Scan, participant and unit of each case, checked to be equal for all networks."""
    first_key, first = next(iter(tables.items()))
    scans = first.drop_duplicates("scan").sort_values("scan")[["scan", "participant", "unit"]].reset_index(drop=True)
    for key, table in tables.items():
        for seed, part in table.groupby("seed"):
            if sorted(part.scan) != list(scans.scan):
                raise UserError(
                    f"evaluation/{key}/cases.tsv, seed {seed}: scans differ from evaluation/{first_key}/cases.tsv",
                    "delete both and run the stage `benchmark` again",
                )
    return scans


def validation_scores(paths: StudyPaths, network: Network, measure: Measure) -> pd.Series:
    """Validation score of each seed with a score, in the measure of the study and in natural units, by seed."""
    scores = {seed: validation_score(r, measure) for seed, r in results.seed_results(paths, network.key).items()}
    return pd.Series(scores, dtype=float).dropna()


def _profile(paths: StudyPaths, network: Network, spec: BenchmarkSpec, members: int) -> dict[str, Any]:
    """Cost of a prediction; the members of an ensemble, and the copies of test-time augmentation, run sequentially."""
    profile = read_json(paths.network(network.key) / "profile.json")
    copies = further_copies(network.recipe.mirror if spec.mirror else "none", spec.shifts)
    passes = members * (1 + len(copies) if spec.task == "segmentation" else 1)
    return {
        "members": members,
        "parameters": profile["parameters"] * members,
        "macs": profile["macs"] * passes,
        "latency_ms": profile["latency"]["median_ms"] * passes,
        "peak_memory_mib": profile["inference_memory_mib"] if members == 1 else np.nan,
        "train_memory_mib": profile["training_memory_mib"],
    }


def _search_cost(paths: StudyPaths, network: Network) -> dict[str, Any]:
    """Origin of a network in its search, and the cost of this whole search."""
    history = results.search_history(paths, network.source)
    trial = history[history.key == network.key].head(1)
    return {
        "origin": trial.origin.iloc[0] if len(trial) else "",
        "step": trial.step.iloc[0] if len(trial) else np.nan,
        "search_samples": int(history.samples.sum()),
        "search_seconds_predicted": _total(history.cpu_seconds),
        "search_seconds_measured": _total(history.measured_seconds),
    }


def _training_cost(paths: StudyPaths, network: Network) -> dict[str, float]:
    """Cost of the trainings of all seeds of a network, and of those of its teachers and of its initial weights."""
    keys = [network.key, *(network.derivation.sources if network.derivation else ())]
    found = {(key, seed): result for key in keys for seed, result in results.seed_results(paths, key).items()}
    measured = [results.measured_seconds(paths.seed(key, seed)) for key, seed in found]
    return {
        "train_samples": sum(r.samples for r in found.values()),
        "train_seconds_predicted": _total(pd.Series([r.cpu_seconds for r in found.values()], dtype=float)),
        "train_seconds_measured": _total(pd.Series(measured, dtype=float)),
    }


def _total(seconds: pd.Series) -> float:
    """Sum of costs; 0 of none, NaN if one is unknown."""
    return float(seconds.sum(min_count=len(seconds))) if len(seconds) else 0.0
