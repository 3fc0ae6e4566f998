"""The results of a study, read from its records as tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from voxnas.core.paths import StudyPaths
from voxnas.core.spec import BenchmarkSpec
from voxnas.core.trial import Network, Result
from voxnas.io.records import read_json, read_record
from voxnas.io.tables import read_table
from voxnas.search.chain import read_chain
from voxnas.search.summary import trials_table

ENSEMBLE = "ensemble"  # the seed under which tables of cases hold the mean over the seeds of a network


def networks(paths: StudyPaths) -> list[Network]:
    """Finalists and baselines, as the selection wrote them."""
    return [Network.model_validate(n) for n in read_json(paths.finalists)["networks"]]


def searches(paths: StudyPaths) -> list[str]:
    """Names of the searches from which the networks were selected, baselines last."""
    return sorted(_steps(paths), key=lambda name: (name.startswith("baseline-"), name))


def _steps(paths: StudyPaths) -> dict[str, int]:
    """Steps of each search that were selected from; what else lies in the folder is left from other settings."""
    return {name: steps for name, steps in read_json(paths.finalists)["searches"].items() if steps}


def search_history(paths: StudyPaths, search: str) -> pd.DataFrame:
    """Steps of one search with what they found and cost.

    Returns
    -------
    DataFrame
        One row a step that trained, in order: step, trial, rung, origin, note, state, reason, key, score (NaN
        where it failed), best (score of the trial that would be selected after it), parameters, macs, and the
        cost of the step itself in samples and in cpu_seconds (a step that continues a trial does not
        pay for it twice).
    """
    steps = _steps(paths).get(search, 0)
    table = trials_table(read_chain(paths, search, steps, steps))
    table = table[table.state != "SKIPPED"].reset_index(drop=True)
    table["samples"] = table.added_samples
    table["reason"] = table.reason.fillna("")
    table["note"] = table.note.fillna("") if "note" in table else ""
    columns = [
        "step",
        "trial",
        "rung",
        "origin",
        "note",
        "state",
        "reason",
        "key",
        "score",
        "best_so_far",
        "parameters",
    ]
    return table[[*columns, "macs", "samples", "cpu_seconds"]].rename(columns={"best_so_far": "best"})


def seed_results(paths: StudyPaths, key: str) -> dict[int, Result]:
    """Results of a network's trainings by seed."""
    seeds = range(read_record(paths.spec("benchmark"), BenchmarkSpec).seeds)
    return {seed: read_record(paths.seed(key, seed) / "result.json", Result) for seed in seeds}


def curve(paths: StudyPaths, key: str, seed: int) -> pd.DataFrame:
    """Training curve of one seed, as its training wrote it (empty where it has none)."""
    path = paths.seed(key, seed) / "curve.tsv"
    if not path.is_file() or not path.stat().st_size:
        return pd.DataFrame()
    table = read_table(path, {})
    return table.apply(pd.to_numeric, errors="coerce")


def cases(paths: StudyPaths, key: str, task: str) -> pd.DataFrame:
    """Scores of a network on the test scans, sorted by seed and scan."""
    return _cases(paths.cases(key), task)


def fold_cases(paths: StudyPaths, key: str, task: str) -> pd.DataFrame:
    """Scores of a network on the folds, each by the seed that left it out, whose number is the column `seed`."""
    return _cases(paths.fold_cases(key), task)


def _cases(path: Path, task: str) -> pd.DataFrame:
    table = read_table(path, {"seed": str, "scan": str, "participant": str})
    texts = {"key", "seed", "scan", "participant"} | ({"target", "predicted"} if task == "classification" else set())
    numbers = {c: float for c in table.columns if c not in texts}
    return table.astype(numbers).sort_values(["seed", "scan"], ignore_index=True)
