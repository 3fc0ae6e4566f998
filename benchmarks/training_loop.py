"""Throughput of the training loop, compared with a bare PyTorch loop on the same network and batches.

Both take turns in one process, a few steps each, so that other work affects both equally. The table has three
rows: the bare loop (forward, loss, backward, optimizer, on prepared batches), the loop of Voxnas on
the same batches, and the loop of Voxnas with sampling and augmentation. Target: the second reaches 95 % of the first.

    python benchmarks/training_loop.py --samples 40 --rounds 5 --output training_loop.tsv
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe
from voxnas.core.plan import VolumeFingerprint, VolumePlan
from voxnas.core.spec import EffectiveTraining
from voxnas.core.training import Fit
from voxnas.io.records import write_text
from voxnas.nn.build import build_network
from voxnas.nn.precision import autocast, resolve_precision
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.loop import TrainingContext, fit
from voxnas.training.losses import LOSSES, supervised
from voxnas.training.optimizers import build_optimizer
from voxnas.training.sampling.patches import PatchSampler
from voxnas.training.steps.supervised import Supervised
from voxnas.training.targets import Targets

BATCH, SCANS, PATCH = 2, 8, [40, 56, 40]
ARCHITECTURE = UNet(
    in_channels=1,
    out_channels=3,
    widths=(16, 32, 64),
    blocks=(2, 2, 2),
    strides=((1, 1, 1), (2, 2, 2), (2, 2, 2)),
    kernels=((3, 3, 3),) * 3,
    decoder_blocks=(2, 2),
)


class RandomData:
    """Scans of noise with the interface of the data of a study."""

    plan = VolumePlan(
        task="segmentation",
        spacing=(1, 1, 1),
        normalize="none",
        crop=False,
        patch=PATCH,
        strides=((1, 1, 1),),
        kernels=((3, 3, 3),),
        channels=1,
        outputs=3,
        labels={"0": "", "1": "", "2": ""},
        fingerprint=VolumeFingerprint(median_shape=PATCH, median_spacing=(1, 1, 1), scans=1),
    )

    def image(self, scan: str) -> Tensor:
        """Noise, (1, D, H, W)."""
        return torch.randn(1, *PATCH, generator=torch.Generator().manual_seed(int(scan)))

    def label(self, scan: str) -> Tensor:
        """Random labels, (D, H, W)."""
        return torch.randint(0, 3, PATCH, dtype=torch.uint8, generator=torch.Generator().manual_seed(int(scan)))


class Made:
    """A sampler that repeats prepared batches."""

    def __init__(self, sampler: PatchSampler, samples: int) -> None:
        self.epoch = sampler.epoch
        self.batches = {j: sampler.batch(range(j, j + BATCH)) for j in range(0, samples, BATCH)}

    def batch(self, samples: Sequence[int]) -> tuple[Tensor, Tensor]:
        """The batch that starts at this sample."""
        return self.batches[samples[0]]


def timed(work: Callable[[], object], samples: int) -> tuple[float, float]:
    """Wall time and processor time per sample, in s."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return (time.perf_counter() - wall) / samples, (time.process_time() - processor) / samples


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=20, help="samples per turn")
    parser.add_argument("--rounds", type=int, default=5, help="number of turns of each loop")
    parser.add_argument("--augmentation", type=float, default=0.5, help="strength of the augmentation")
    parser.add_argument("--output", type=Path, help="TSV file for the table")
    arguments = parser.parse_args()
    samples = arguments.samples - arguments.samples % BATCH
    torch.set_num_threads(1)
    recipe = Recipe(spatial=arguments.augmentation, intensity=arguments.augmentation)
    job = Fit(architecture=ARCHITECTURE, recipe=recipe, fold=0, seed=0, samples=samples)
    training = EffectiveTraining(batch_size=BATCH, validations=1)
    sampler = PatchSampler(
        RandomData(),
        [str(i) for i in range(SCANS)],
        Targets("segmentation", labels=(0, 1, 2)),
        0,
        recipe,
        0.33,
    )
    made = Made(sampler, samples)
    network = build_network(ARCHITECTURE)

    def bare() -> None:
        optimizer = build_optimizer(network, recipe)
        network.train()
        for images, targets in made.batches.values():
            with autocast("auto"):
                outputs = network(images)
            loss = supervised(LOSSES[recipe.loss], outputs, targets)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def ours(source: PatchSampler | Made) -> None:
        with tempfile.TemporaryDirectory() as folder:
            context = TrainingContext(Path(folder))
            fit(network, job, training, Supervised(recipe.loss), source, lambda *_: (0.0, {}), SingleBackend(), context)

    loops = {
        "bare PyTorch": bare,
        "voxnas, same batches": lambda: ours(made),
        "voxnas, sampling and augmentation": lambda: ours(sampler),
    }
    bare()
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in loops}
    for _ in range(arguments.rounds):
        for name, work in loops.items():
            found[name].append(timed(work, samples))
    first = found["bare PyTorch"]
    lines = ["loop\twall_ms_per_sample\tcpu_ms_per_sample\trelative_throughput\tprecision\trounds\tsamples"]
    precision = "float32" if resolve_precision("auto") is None else "bf16"
    for name, times in found.items():
        wall, processor = (1e3 * statistics.median(column) for column in zip(*times, strict=True))
        # The ratio of consecutive turns, by processor time, is robust to other work on the machine.
        ratio = statistics.median(a[1] / b[1] for a, b in zip(first, times, strict=True))
        lines.append(f"{name}\t{wall:.2f}\t{processor:.2f}\t{ratio:.3f}\t{precision}\t{arguments.rounds}\t{samples}")
    for line in lines:
        cells = line.split("\t")
        print(f"{cells[0]:<36}" + "".join(f"{cell:>22}" for cell in cells[1:4]))
    if arguments.output:
        write_text(arguments.output, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
