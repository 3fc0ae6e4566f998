r"""Score against budget of several networks and schedules: the choice of a schedule, and the saturation curve.

A schedule with an end (`cosine`, `poly`, `onecycle`) is trained anew for each budget. An anytime schedule is trained
once: each budget continues from the state of the budget before. Both are scored on the first search fold of a
preprocessed study; its test split stays locked. The store of the study has all trainings, so that an interrupted run
continues. Budgets are samples, or CPU seconds by the calibration of the study.

    snakemake --configfile config/studies/hippocampus.yaml --config data_root=PATH --cores 2 \
        results/hippocampus/calibration.json results/hippocampus/spec/train.json
    python benchmarks/anytime.py results/hippocampus --samples 300 1200 3600 --output schedules.tsv
    python benchmarks/anytime.py results/hippocampus --networks winner unet nnunet \
        --schedules "constant, averaged 0.1" --seconds 45 180 720 2880 \
        --output saturation.tsv --figure saturation.svg

`winner` and the other parts of the recipe are those of the published hippocampus study.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd

from voxnas.arch.baselines.base import BASELINES
from voxnas.arch.families.unet import UNet
from voxnas.arch.views import input_size
from voxnas.complexity.calibration import samples_of
from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.calibration import Calibration
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.settings import Budget, LimitSettings
from voxnas.core.training import Fit
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.report.style import STYLE, identity, new_figure
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
    "elastic": {"deformation": "elastic", "spatial": 0.8, "intensity": 1.0},
    "affine": {},
}
SCHEDULES: dict[str, dict[str, Any]] = {
    "poly": {},
    "poly, averaged 0.1": {"averaging": 0.1},
    "onecycle": {"schedule": "onecycle"},
    "constant": {"schedule": "constant"},
    "constant, averaged 0.1": {"schedule": "constant", "averaging": 0.1},
    "constant, averaged 0.3": {"schedule": "constant", "averaging": 0.3},
}
NETWORKS = ("winner", "unet", "nnunet")


def architecture_of(name: str, plan: Plan) -> Architecture:
    """The searched network of the published study, or a hand-made network."""
    if name != "winner":
        return BASELINES[name](plan, LimitSettings())[0]
    return UNet(
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


def jobs(architecture: Architecture, recipe: Recipe, budgets: list[int], seed: int) -> list[Fit]:
    """Trainings of a recipe to each budget, in ascending order."""
    restarts = [tuple(budgets[:i]) if recipe.schedule in ANYTIME else () for i in range(len(budgets))]
    return [
        Fit(architecture=architecture, recipe=recipe, fold=0, seed=seed, samples=n, restarts=before)
        for n, before in zip(budgets, restarts, strict=True)
    ]


def draw(table: pd.DataFrame, file: Path) -> None:
    """Score over the CPU seconds, one line for each network and schedule, one marker for each seed."""
    with matplotlib.rc_context(STYLE):
        figure = new_figure(5.6, 3.6)
        axes = figure.subplots()
        for position, ((network, schedule), rows) in enumerate(table.groupby(["network", "schedule"], sort=False)):
            colour, marker = identity(position)
            means = rows.groupby("samples")[["total_cpu_seconds", "dice"]].mean()
            axes.plot(means.total_cpu_seconds, means.dice, color=colour, label=f"{network}, {schedule}")
            axes.plot(rows.total_cpu_seconds, rows.dice, marker, color=colour)
        axes.set(xscale="log", xlabel="CPU seconds of the training", ylabel="Dice on the validation fold")
        axes.legend()
        figure.savefig(file)


def main() -> None:
    """Train, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=Path("results/hippocampus"), help="folder of the study")
    budgets = parser.add_mutually_exclusive_group()
    budgets.add_argument("--samples", type=int, nargs="+", default=[300, 1200, 3600], help="budgets")
    budgets.add_argument("--seconds", type=float, nargs="+", help="budgets in CPU seconds")
    parser.add_argument("--seeds", type=int, default=2, help="trainings per row")
    parser.add_argument("--networks", nargs="+", default=["winner"], choices=NETWORKS)
    parser.add_argument("--schedules", nargs="+", default=list(SCHEDULES), choices=SCHEDULES)
    parser.add_argument("--augmentations", nargs="+", default=["elastic"], choices=AUGMENTATIONS)
    parser.add_argument("--output", type=Path, help="TSV file for the table")
    parser.add_argument("--figure", type=Path, help="file for the figure")
    arguments = parser.parse_args()
    paths = StudyPaths(arguments.study)
    if not paths.plan.exists() or not paths.spec("train").exists():
        parser.exit(0, f"skipped: {arguments.study} is not preprocessed; see the commands in --help\n")
    plan = read_plan(paths.plan)
    rows: list[dict[str, Any]] = []
    cases = [
        (seed, network, augmentation, name)
        for seed in range(arguments.seeds)
        for network in arguments.networks
        for augmentation in arguments.augmentations
        for name in arguments.schedules
    ]
    for seed, network, augmentation, name in cases:
        architecture = architecture_of(network, plan)
        recipe = WINNER.model_copy(update={**AUGMENTATIONS[augmentation], **SCHEDULES[name]})
        samples = sorted(arguments.samples)
        if arguments.seconds:
            calibration, size = read_record(paths.calibration, Calibration), input_size(architecture, plan)
            amounts = [Budget(amount=amount, unit="cpu_seconds") for amount in sorted(arguments.seconds)]
            samples = [samples_of(amount, calibration, architecture, size, recipe.optimizer) for amount in amounts]
        total = 0.0
        for job in jobs(architecture, recipe, samples, seed):
            options = RunOptions(keep_state=recipe.schedule in ANYTIME)
            trained = train(paths, job, options, lambda line: print(line, file=sys.stderr))
            assert trained.entry is not None, trained.outcome
            seconds = read_json(trained.entry.run)["cpu_seconds"]
            total = total + seconds if job.restarts else seconds
            row = {"network": network, "schedule": name, "augmentation": augmentation, "seed": seed}
            rows.append({**row, "samples": job.samples, "dice": trained.outcome["score"], "total_cpu_seconds": total})
            print(rows[-1], flush=True)
            if arguments.output:
                pd.DataFrame(rows).to_csv(arguments.output, sep="\t", index=False, float_format="%.6g")
    table = pd.DataFrame(rows)
    means = table.pivot_table(
        index=["network", "augmentation", "schedule"], columns="samples", values="dice", sort=False
    )
    print(means.round(4).to_string())
    if arguments.figure:
        draw(table, arguments.figure)


if __name__ == "__main__":
    main()
