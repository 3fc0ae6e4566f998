"""Ratio of the measured CPU seconds of whole trainings to their budgets in CPU seconds.

    snakemake --configfile config/studies/hippocampus.yaml --config data_root=PATH --cores 1 --until search
    python benchmarks/budgets.py results/hippocampus --output results/published/budgets

The hand-made networks of the study and random networks of its search space are trained, each with AdamW and with Muon,
on the samples that the calibration of the study affords within the budget. The measured time is that of the whole
process of a training. About two thirds of an hour on one core with the default options.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from voxnas.arch.baselines import BASELINES, within_limits
from voxnas.arch.search_space import SearchSpace
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.complexity.calibration import predict_fixed_seconds, samples_of
from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.calibration import Calibration
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import Budget
from voxnas.core.spec import SearchSpec
from voxnas.core.training import Fit
from voxnas.io.records import read_plan, read_record, write_json
from voxnas.io.tables import write_table
from voxnas.training.overheads import training_seconds


def networks(
    spec: SearchSpec, plan: Plan, names: list[str], count: int, seed: int
) -> Iterator[tuple[str, Architecture, Recipe]]:
    """Baselines by name, then random networks of a space with their recipes."""
    limits = spec.search.limits
    for name in names:
        yield name, *BASELINES[name](plan, limits)
    space, rng = SearchSpace.from_dict(spec.space), np.random.default_rng(derive_seed(seed, "budgets"))
    found = 0
    while found < count:
        architecture, recipe = space.decode(space.sample(rng), plan)
        if within_limits(architecture, limits, input_size(architecture, plan)):
            yield f"random-{found}", architecture, recipe
            found += 1


def main() -> None:
    """Train, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=StudyPaths, help="folder of a study with a calibration")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the table")
    parser.add_argument("--seconds", type=float, default=45, help="budget of one training")
    parser.add_argument("--baselines", nargs="*", default=["unet", "nnunet-small"], help="hand-made networks")
    parser.add_argument("--networks", type=int, default=8, help="number of random networks")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    paths = arguments.study
    spec = read_record(next((paths.root / "spec").glob("search-*.json")), SearchSpec)
    plan, calibration = read_plan(paths.plan), read_record(paths.calibration, Calibration)
    budget = Budget(amount=arguments.seconds, unit="cpu_seconds")
    arguments.output.mkdir(parents=True, exist_ok=True)
    rows = []
    for name, architecture, recipe in networks(spec, plan, arguments.baselines, arguments.networks, arguments.seed):
        for optimizer in ("adamw", "muon"):
            size = input_size(architecture, plan)
            changed = recipe.model_copy(update={"optimizer": optimizer, "learning_rate": 1e-3})
            samples = samples_of(budget, calibration, architecture, size, optimizer)
            job = Fit(architecture=architecture, recipe=changed, fold=0, seed=arguments.seed, samples=samples)
            measured = training_seconds(paths, job)
            rows.append(
                {
                    "network": name,
                    "optimizer": optimizer,
                    **analyze(architecture, size)._asdict(),
                    "samples": samples,
                    "fixed_seconds": round(predict_fixed_seconds(calibration, architecture, size), 2),
                    "budget_seconds": arguments.seconds,
                    "measured_seconds": round(measured, 2),
                    "ratio": round(measured / arguments.seconds, 3),
                }
            )
            print(pd.DataFrame(rows[-1:]).to_string(index=False, header=len(rows) == 1), flush=True)
            write_table(arguments.output / "budgets.tsv", pd.DataFrame(rows))
    write_json(arguments.output / "calibration.json", calibration.model_dump(include={"device", "process", "error"}))


if __name__ == "__main__":
    main()
