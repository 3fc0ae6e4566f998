"""The table of all trainings with the full budget."""

from __future__ import annotations

import pandas as pd

from voxnas.benchmark.results import networks
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Result
from voxnas.io.records import read_record


def trainings_table(paths: StudyPaths, seeds: int) -> pd.DataFrame:
    """Tabulate the seeds of all finalists and hand-made networks.

    Returns
    -------
    DataFrame
        name, source, rank, key, seed, state, score (validation), samples, cpu_seconds (predicted
        by the calibration, if any), parameters, macs.
    """
    rows = []
    for network in networks(paths):
        for seed in range(seeds):
            result = read_record(paths.seed(network.key, seed) / "result.json", Result)
            rows.append(
                {
                    "name": network.name,
                    "source": network.source,
                    "rank": network.rank,
                    "key": network.key,
                    "seed": seed,
                    **{name: getattr(result, name) for name in ("state", "score", "samples")},
                    **{name: getattr(result, name) for name in ("cpu_seconds", "parameters", "macs")},
                }
            )
    return pd.DataFrame(rows)
