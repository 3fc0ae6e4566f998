"""Results of a study, read from its records."""

from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError, suggest
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import BenchmarkSpec
from voxnas.core.trial import Network, Result
from voxnas.io.records import read_json, read_record
from voxnas.io.tables import read_table
from voxnas.search.chain import read_chain
from voxnas.search.propose import Search
from voxnas.search.summary import trials_table

ENSEMBLE = "ensemble"  # value of the column seed for the average of all seeds of a network


def benchmark_spec(paths: StudyPaths) -> BenchmarkSpec:
    """Spec of the benchmark of a study."""
    return read_record(paths.spec("benchmark"), BenchmarkSpec)


def finalists(paths: StudyPaths) -> list[Network]:
    """Finalists and baselines, in the order of the selection."""
    return [Network.model_validate(n) for n in read_json(paths.finalists)["networks"]]


def networks(paths: StudyPaths) -> list[Network]:
    """Finalists and baselines, in the order of the selection, and the networks derived or pruned from the winner."""
    spec = benchmark_spec(paths)
    files = [paths.derived] * spec.derives + [paths.pruned] * spec.prunes
    derived = [network for file in files for network in read_json(file)["networks"]]
    return [*finalists(paths), *map(Network.model_validate, derived)]


def named_network(paths: StudyPaths, name: str) -> Network:
    """Return the network with a `name`; UserError if the study has none."""
    found = {network.name: network for network in networks(paths)}
    if name not in found:
        raise UserError(f"{paths.root} has no network {name!r}", suggest(name, found))
    return found[name]


def searches(paths: StudyPaths) -> list[str]:
    """Names of the searches that entered the selection, baselines last."""
    return sorted(_steps(paths), key=lambda name: (name.startswith("baseline-"), name))


def _steps(paths: StudyPaths) -> dict[str, int]:
    """Number of selected steps of each search; further steps in the folder belong to earlier settings."""
    return {name: steps for name, steps in read_json(paths.finalists)["searches"].items() if steps}


def search_history(paths: StudyPaths, search: str) -> pd.DataFrame:
    """Results and costs of the steps of one search.

    Returns
    -------
    DataFrame
        One row per trained step, in order: step, trial, rung, origin, note, state, reason, key, score (NaN if the step
        failed), best (score of the trial that would be selected after the step), parameters, macs, and the cost of this
        step in samples, cpu_seconds (predicted) and measured_seconds, without the earlier steps of its trial. With
        several objectives, their costs and front (:func:`voxnas.search.summary.trials_table`).
    """
    steps = _steps(paths).get(search, 0)
    # The source of a twin or a linear model is no search and has no spec.
    table = trials_table(read_chain(paths, search, steps, steps), Search.read(paths, search) if steps else None)
    table = table[table.state != "SKIPPED"].reset_index(drop=True)
    table["samples"] = table.added_samples
    table["measured_seconds"] = [measured_seconds(paths.step(search, k)) for k in table.step]
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
    columns += ["macs", "samples", "cpu_seconds", "measured_seconds"]
    columns += [name for name in ("latency_ms", "memory_mib", "front") if name in table]
    return table[columns].rename(columns={"best_so_far": "best"})


def measured_seconds(folder: Path) -> float:
    """Measured CPU seconds of the training whose files lie in a folder; NaN without a record."""
    run = read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
    return float(run.get("cpu_seconds", "nan"))


def seed_results(paths: StudyPaths, key: str) -> dict[int, Result]:
    """Results of the trainings of a network by seed."""
    seeds = range(benchmark_spec(paths).seeds)
    return {seed: read_record(paths.seed(key, seed) / "result.json", Result) for seed in seeds}


def curve(paths: StudyPaths, key: str, seed: int) -> pd.DataFrame:
    """Training curve of one seed; empty if the training has none."""
    path = paths.seed(key, seed) / "curve.tsv"
    if not path.is_file() or not path.stat().st_size:
        return pd.DataFrame()
    return read_table(path, {}).apply(pd.to_numeric, errors="coerce")


def cases(path: Path, task: str) -> pd.DataFrame:
    """Read the scores of a network per case.

    Parameters
    ----------
    path : path
        ``StudyPaths.cases`` or ``StudyPaths.fold_cases`` of the network.
    task : str
        Task of the study.

    Returns
    -------
    DataFrame
        One row per seed (on the folds: the number of the fold) and scan, sorted.
    """
    table = read_table(path, {"seed": str, "scan": str, "participant": str, "unit": str})
    texts = {"key", "seed", "scan", "participant", "unit"} | (
        {"target", "predicted"} if task == "classification" else set()
    )
    numbers = {c: float for c in table.columns if c not in texts}
    return table.astype(numbers).sort_values(["seed", "scan"], ignore_index=True)
