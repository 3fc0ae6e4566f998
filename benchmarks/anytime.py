"""Anytime training against schedules that are tuned to their budget: one network, several schedules and budgets.

A schedule with an end (`cosine`, `poly`, `onecycle`) is trained anew for each budget. An anytime schedule is trained
once: each budget continues from the state of the budget before. Both are scored on the first search fold of a
preprocessed study (``snakemake --until preprocess``); its test split stays locked. The store of the study has all
trainings, so that an interrupted run continues.

    python benchmarks/anytime.py results/hippocampus --samples 300 1200 4800 --seeds 2 --output anytime.tsv

The network and the other parts of its recipe are the winner of the published hippocampus study.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe
from voxnas.core.paths import StudyPaths
from voxnas.core.training import Fit
from voxnas.io.records import read_json, read_plan
from voxnas.training.parent import train
from voxnas.training.run_options import RunOptions
from voxnas.training.schedules import ANYTIME

WINNER = Recipe(
    optimizer="muon",
    learning_rate=0.0197,
    weight_decay=0.00398,
    schedule="poly",
    loss="dice_focal",
    spatial=0.152,
    intensity=0.152,
)
AUGMENTATIONS: dict[str, dict[str, Any]] = {
    "affine": {},
    "elastic": {"deformation": "elastic", "spatial": 0.8, "intensity": 1.0},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "poly": {},
    "poly, averaged 0.1": {"averaging": 0.1},
    "onecycle": {"schedule": "onecycle"},
    "constant": {"schedule": "constant"},
    "constant, averaged 0.1": {"schedule": "constant", "averaging": 0.1},
    "constant, averaged 0.3": {"schedule": "constant", "averaging": 0.3},
    "inverse_sqrt, averaged 0.3": {"schedule": "inverse_sqrt", "averaging": 0.3},
}


def jobs(paths: StudyPaths, recipe: Recipe, budgets: list[int], seed: int) -> list[Fit]:
    """Trainings of a recipe to each budget, in ascending order."""
    plan = read_plan(paths.plan)
    architecture = UNet(
        in_channels=plan.channels,
        out_channels=plan.outputs,
        widths=[16, 32, 64],
        blocks=[1, 1, 1],
        decoder_blocks=[1, 1],
        strides=plan.strides[:3],
        kernels=plan.kernels[:3],
        block="residual",
        norm="group",
        activation="relu",
        downsample="max",
        deep_supervision=False,
    )
    fields = {"architecture": architecture, "recipe": recipe, "fold": 0, "seed": seed}
    restarts = [tuple(budgets[:i]) if recipe.schedule in ANYTIME else () for i in range(len(budgets))]
    return [Fit(**fields, samples=n, restarts=before) for n, before in zip(budgets, restarts, strict=True)]


def main() -> None:
    """Train, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=Path("results/hippocampus"), help="folder of the study")
    parser.add_argument("--samples", type=int, nargs="+", default=[300, 1200, 4800], help="budgets")
    parser.add_argument("--seeds", type=int, default=2, help="trainings per row")
    parser.add_argument("--schedules", nargs="+", default=list(SCHEDULES), choices=SCHEDULES)
    parser.add_argument("--augmentations", nargs="+", default=list(AUGMENTATIONS), choices=AUGMENTATIONS)
    parser.add_argument("--output", type=Path, help="TSV file for the table")
    arguments = parser.parse_args()
    paths = StudyPaths(arguments.study)
    if not paths.plan.exists() or not paths.spec("train").exists():
        parser.exit(0, f"skipped: {arguments.study} is not preprocessed; run snakemake with --until preprocess\n")
    rows = []
    for augmentation in arguments.augmentations:
        for name in arguments.schedules:
            recipe = WINNER.model_copy(update={**AUGMENTATIONS[augmentation], **SCHEDULES[name]})
            for seed in range(arguments.seeds):
                for job in jobs(paths, recipe, sorted(arguments.samples), seed):
                    options = RunOptions(keep_state=recipe.schedule in ANYTIME)
                    trained = train(paths, job, options, lambda line: print(line, file=sys.stderr))
                    assert trained.entry is not None, trained.outcome
                    rows.append(
                        {
                            "schedule": name,
                            "augmentation": augmentation,
                            "seed": seed,
                            "samples": job.samples,
                            "dice": trained.outcome["score"],
                            "cpu_seconds": read_json(trained.entry.run)["cpu_seconds"],
                        }
                    )
                    print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    means = table.pivot_table(index=["augmentation", "schedule"], columns="samples", values="dice", sort=False)
    print(means.round(4).to_string())
    if arguments.output:
        table.to_csv(arguments.output, sep="\t", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
