"""The results of a study, read from its records as tables."""

from __future__ import annotations

from typing import Any

import pandas as pd

from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Network, Proposal, Result
from voxnas.io.records import read_json, read_record
from voxnas.io.tables import read_table


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
        One row a step that trained, in order: step, trial, origin, state, reason, key, score (None
        where it failed), parameters, macs, and the cost of the step itself in samples and in
        cpu_seconds (a step that continues a trial does not pay for it twice).
    """
    rows: list[dict[str, Any]] = []
    paid: dict[str, tuple[int, float]] = {}
    for step in range(_steps(paths).get(search, 0)):
        result = read_record(paths.step(search, step) / "result.json", Result)
        if result.state == "SKIPPED":
            continue
        proposal = read_record(paths.step(search, step) / "proposal.json", Proposal)
        samples, seconds = paid.get(proposal.trial, (0, 0.0))
        paid[proposal.trial] = (result.samples, result.cpu_seconds or 0.0)
        rows.append(
            {
                "step": step,
                "trial": proposal.trial,
                "origin": proposal.origin,
                "state": result.state,
                "reason": result.reason,
                "key": result.key,
                "score": result.score,
                "parameters": result.parameters,
                "macs": result.macs,
                "samples": result.samples - samples,
                "cpu_seconds": None if result.cpu_seconds is None else result.cpu_seconds - seconds,
            }
        )
    columns = [
        "step",
        "trial",
        "origin",
        "state",
        "reason",
        "key",
        "score",
        "parameters",
        "macs",
        "samples",
        "cpu_seconds",
    ]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"score": float, "cpu_seconds": float})


def seed_results(paths: StudyPaths, key: str) -> dict[int, Result]:
    """Results of a network's trainings by seed."""
    seeds = range(read_json(paths.spec("benchmark"))["seeds"])
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
    table = read_table(paths.cases(key), {"seed": str, "scan": str, "participant": str})
    texts = {"key", "seed", "scan", "participant"} | ({"target", "predicted"} if task == "classification" else set())
    numbers = {c: float for c in table.columns if c not in texts}
    return table.astype(numbers).sort_values(["seed", "scan"], ignore_index=True)
