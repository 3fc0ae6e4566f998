"""Effect of each element of a recipe: one U-Net, trained with one change at a time on the first search fold of a study.

Requires a preprocessed study (``snakemake --until preprocess``); its test split stays locked. Each row is
the mean over `--seeds` trainings with equal samples.

    python benchmarks/recipes.py results/hippocampus --samples 900 --seeds 2 --output recipes.tsv
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from voxnas.arch.families.unet import UNet
from voxnas.arch.stages import usable_stages
from voxnas.core.architecture import Recipe
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import EffectiveTraining
from voxnas.core.training import Fit
from voxnas.data.dataset import StudyData
from voxnas.io.records import write_text
from voxnas.nn.build import build_network
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.loop import TrainingContext, fit
from voxnas.training.metrics import Validation
from voxnas.training.sampling.patches import PatchSampler
from voxnas.training.steps.supervised import Supervised
from voxnas.training.targets import Targets

BASE = Recipe(
    optimizer="muon",
    learning_rate=1e-2,
    weight_decay=1e-2,
    schedule="onecycle",
    spatial=0.3,
    intensity=0.3,
    mirror="none",
)
CHANGES: dict[str, dict[str, object]] = {
    "muon, no mirroring": {},
    "mirror left-right": {"mirror": "left_right"},
    "mirror all axes": {"mirror": "all"},
    "adamw": {"optimizer": "adamw"},
    "adamw, mirror all axes": {"optimizer": "adamw", "mirror": "all"},
    "sgd 1e-2": {"optimizer": "sgd", "weight_decay": 3e-5, "schedule": "poly"},
    "no augmentation": {"spatial": 0.0, "intensity": 0.0},
    "augmentation 0.6": {"spatial": 0.6, "intensity": 0.6},
    "cosine": {"schedule": "cosine"},
}


def score(data: StudyData, recipe: Recipe, samples: int, seed: int, batch_size: int) -> tuple[float, float]:
    """Mean Dice on the first search fold, and the CPU seconds of the training."""
    plan = data.plan
    stages = min(4, usable_stages(plan))
    architecture = UNet(
        in_channels=plan.channels,
        out_channels=plan.outputs,
        widths=[8 * 2**i for i in range(stages)],
        blocks=[1, *[2] * (stages - 1)],
        decoder_blocks=[1, 1, 2][: stages - 1],
        strides=plan.strides[:stages],
        kernels=plan.kernels[:stages],
        downsample="max",
    )
    job = Fit(architecture=architecture, recipe=recipe, fold=0, seed=seed, samples=samples)
    scans = data.train_scans(0)
    targets = Targets.of(data, scans)
    torch.manual_seed(seed)
    network = build_network(architecture)
    sampler = PatchSampler(data, scans, targets, seed, recipe, 0.33)
    validate = Validation(data, data.validation_scans(0), targets, "auto")
    training = EffectiveTraining(batch_size=batch_size, validations=1)
    begun = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        context = TrainingContext(Path(folder))
        outcome = fit(network, job, training, Supervised(recipe.loss), sampler, validate, SingleBackend(), context)
    return float("nan") if outcome.score is None else outcome.score, time.process_time() - begun


def main() -> None:
    """Train, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, nargs="?", default=Path("results/hippocampus"), help="folder of the study")
    parser.add_argument("--samples", type=int, default=900, help="samples of each training")
    parser.add_argument("--seeds", type=int, default=2, help="trainings per row")
    parser.add_argument("--batch-size", type=int, default=1, help="global batch")
    parser.add_argument("--output", type=Path, help="TSV file for the table")
    arguments = parser.parse_args()
    if not StudyPaths(arguments.study).plan.exists():
        parser.exit(0, f"skipped: {arguments.study} is not preprocessed; run snakemake with --until preprocess\n")
    torch.set_num_threads(1)
    data = StudyData(StudyPaths(arguments.study))
    rows = ["recipe\tdice\tlowest\thighest\tseeds\tsamples\tcpu_seconds"]
    print(f"{'recipe':<26}{'Dice':>8}{'lowest':>8}{'highest':>9}{'CPU s':>8}")
    for name, change in CHANGES.items():
        recipe = BASE.model_copy(update=change)
        found = [score(data, recipe, arguments.samples, seed, arguments.batch_size) for seed in range(arguments.seeds)]
        scores, seconds = [s for s, _ in found], statistics.mean(t for _, t in found)
        mean = statistics.mean(scores)
        print(f"{name:<26}{mean:>8.4f}{min(scores):>8.4f}{max(scores):>9.4f}{seconds:>8.0f}", flush=True)
        rows.append(
            f"{name}\t{mean:.4f}\t{min(scores):.4f}\t{max(scores):.4f}\t{len(scores)}\t{arguments.samples}\t{seconds:.1f}"
        )
    if arguments.output:
        write_text(arguments.output, "\n".join(rows) + "\n")


if __name__ == "__main__":
    main()
