"""Tables of the rows of replay.py: regrets, evaluations to the top, shares that never reach it, with intervals.

    python benchmarks/search/table.py --rows ROWS --output results/published/search

`runs.tsv` holds one line a run, from which the other tables are made (`--rows` may name it); `summary.tsv` holds
medians over the seeds with 95 % percentile intervals of 10,000 bootstrap samples. A run that does not reach a goal
counts as infinitely many evaluations. `README.md` of the folder states what ran.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from voxnas.io.tables import read_table, write_table

SETTING = ["problem", "score", "latency", "workers", "loss"]
AT = (5, 10, 20, 25, 50, 60, 100, 200)
SAMPLES = 10_000
PACKED = ("curve", "top", "volume")  # columns of JSON


def read_rows(path: Path) -> pd.DataFrame:
    """Read the rows of a folder, or `runs.tsv`."""
    if path.is_dir():
        table = pd.DataFrame([json.loads(file.read_text()) for file in sorted(path.rglob("*.json"))])
    else:
        table = read_table(path, {"workers": int, "loss": float, "seed": int, "budget": float, "cpu": float})
        table = table.fillna({"score": "", "latency": ""})
        for column in PACKED:
            table[column] = table[column].map(json.loads)
    return table.sort_values([*SETTING, "method", "seed"], ignore_index=True)


def regret_at(curve: Iterable[tuple[float, float, float]], cost: float) -> float:
    """Regret of the incumbent after a cost; infinite before the first result."""
    return next((regret for _, spent, regret in reversed(list(curve)) if spent <= cost + 1e-9), np.inf)


def cost_to(curve: Iterable[tuple[float, float, float]], regret: float) -> float:
    """Cost until the incumbent has at most a regret; infinite if it never has."""
    return next((spent for _, spent, reached in curve if reached <= regret + 1e-9), np.inf)


def interval(values: np.ndarray) -> str:
    """Median of values (S,) with its bootstrap interval."""
    rng = np.random.default_rng(0)
    medians = np.quantile(rng.choice(values, (SAMPLES, len(values))), 0.5, axis=1, method="closest_observation")
    low, high = np.quantile(medians, [0.025, 0.975], method="closest_observation")
    return f"{np.median(values):.3g} [{low:.3g}, {high:.3g}]"


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Summarise the runs of each method in each setting."""
    found = []
    for setting, runs in rows.groupby([*SETTING, "method"], sort=False):
        line = dict(zip([*SETTING, "method"], setting, strict=True))
        line |= {"seeds": len(runs), "budget": runs.budget.min(), "cpu_s": round(runs.cpu.mean(), 1)}
        for cost in AT:
            if cost <= runs.budget.min():
                line[f"regret_{cost}"] = interval(np.array([regret_at(curve, cost) for curve in runs.curve]))
        for name in runs.top.iloc[0]:
            costs = np.array([cost_to(row.curve, row.top[name]) for row in runs.itertuples()])
            line |= {f"to_{name}": interval(costs), f"never_{name}": round(float(np.isinf(costs).mean()), 3)}
        for count in runs.volume.iloc[0]:
            line[f"volume_{count}"] = interval(np.array([volume.get(count, np.nan) for volume in runs.volume]))
        found.append(line)
    return pd.DataFrame(found)


def main() -> None:
    """Write the tables and print the summary."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="folder of the runs, or runs.tsv")
    parser.add_argument("--output", type=Path, help="folder for the tables")
    arguments = parser.parse_args()
    rows = read_rows(arguments.rows)
    table = summary(rows)
    for _, part in table.groupby(SETTING, sort=False):
        print(part.dropna(axis=1, how="all").drop(columns=SETTING).to_string(index=False), end="\n\n")
    if arguments.output:
        plain = rows.assign(**{column: rows[column].map(json.dumps) for column in PACKED})
        write_table(arguments.output / "runs.tsv", plain)
        write_table(arguments.output / "summary.tsv", table)


if __name__ == "__main__":
    main()
