"""Accuracy of the predicted time and memory on random architectures that were not used in a fit.

    python benchmarks/cost_models.py --output results/published/cost_models      about 30 minutes on one core

The model of times is calibrated on this device as in a study (random networks of the space, and single nodes). It
predicts the latency and the training time of other architectures, which are measured. Its rank correlation
is reported with the rank correlation of MACs, over all architectures and within each quartile of MACs. The memory model
has no fitted parameters. It predicts the peak memory of a training step of further architectures, U-Nets and CNNs in
both precisions, each measured in a separate process. Architectures that would take minutes are excluded.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import yaml
from scipy.stats import spearmanr

from voxnas.arch.families import expand, list_layers
from voxnas.arch.primitives.base import blocks
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.complexity.calibration import identity, predict_latency_ms, predict_train_seconds
from voxnas.complexity.memory import measure_peaks, memory_request
from voxnas.complexity.memory_model import training_mib
from voxnas.core.architecture import Architecture
from voxnas.core.calibration import Calibration
from voxnas.core.plan import VolumeFingerprint, VolumePlan
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import LimitSettings, StudySettings, Task
from voxnas.core.spec import stage_spec
from voxnas.io.records import write_json
from voxnas.io.tables import write_table

SPACES = Path(__file__).parents[1] / "config" / "search_spaces"


def _plan(task: Task, patch: tuple[int, int, int], outputs: int) -> VolumePlan:
    return VolumePlan(
        task=task,
        spacing=(1, 1, 1),
        normalize="zscore",
        crop=True,
        patch=patch,
        strides=((1, 1, 1), *((2, 2, 2),) * 4),
        kernels=((3, 3, 3),) * 5,
        channels=1,
        outputs=outputs,
        fingerprint=VolumeFingerprint(median_shape=patch, median_spacing=(1, 1, 1), scans=1),
    )


PLANS = {"unet": _plan("segmentation", (40, 56, 40), 3), "cnn": _plan("classification", (96, 96, 96), 2)}
BATCH = 2  # batch size of the timed training steps
SLOW_MIB, LEAST_MIB = 1200, 180  # predicted peaks; only measured peaks above 200 MiB are evaluated
LEAST_COUNTED_MIB = 200
WORK = {"latency": 6e9, "memory": 8e9}  # MACs of a network for one sample or one batch
DEPTHWISE_WORK = 10  # weight of a MAC of a depthwise convolution
IDLE = ("zero", "skip")  # blocks with negligible computation


class Asked(NamedTuple):
    """An architecture for a memory measurement."""

    architecture: Architecture
    patch: Sequence[int]
    batch: int
    bf16: bool


def space_of(family: str) -> dict[str, Any]:
    """The published space with all registered blocks."""
    raw = yaml.safe_load((SPACES / f"{family}.yaml").read_text())
    raw["parameters"]["block"] = {"choices": [name for name in blocks() if name not in IDLE]}
    raw["parameters"]["expansion"] = {"choices": [2, 3, 4]}
    return raw


def work(architecture: Architecture, patch: Sequence[int]) -> float:
    """MACs, weighted by their cost."""
    return sum(layer.macs * (DEPTHWISE_WORK if layer.depthwise else 1) for layer in list_layers(architecture, patch))


def draw(family: str, name: str, most: float, seed: int) -> Iterator[Architecture]:
    """Distinct random architectures of a family."""
    space, plan = SearchSpace.from_dict(space_of(family)), PLANS[family]
    rng, seen = np.random.default_rng(derive_seed(seed, name, family)), set()
    while True:
        architecture, _ = space.decode(space.sample(rng), plan)
        if identity(architecture) not in seen and work(architecture, plan.patch) <= most:
            seen.add(identity(architecture))
            yield architecture


def measure_times(count: int, seconds: float, seed: int) -> tuple[Calibration, pd.DataFrame]:
    """Calibrate, and measure `count` other U-Nets."""
    import torch

    from voxnas.complexity.calibrate import measure_calibration
    from voxnas.complexity.measured import measure_latency, measure_step
    from voxnas.nn.build import build_network

    torch.set_num_threads(1)
    plan = PLANS["unet"]
    spec = stage_spec(StudySettings(seed=seed, training={"batch_size": BATCH}), "calibrate")
    calibration = measure_calibration(
        space_of("unet"), plan, spec, LimitSettings(parameters=None, macs=int(WORK["latency"])), seconds
    )
    print(f"calibrated in {calibration.seconds:.0f} s: {len(calibration.table)} networks, "
          f"{calibration.nodes} nodes", flush=True)  # fmt: skip
    rows = []
    for architecture in draw("unet", "held-out times", WORK["latency"], seed):
        if identity(architecture) in calibration.table:
            continue
        network, patch = build_network(architecture), plan.patch
        latency = measure_latency(network, (1, 1, *patch), repeats=5, warmup=1)
        step = measure_step(network, (BATCH, 1, *patch), repeats=2)["median_ms"] / 1e3
        rows.append(
            {
                "block": "+".join(sorted(set(architecture.block))),
                **analyze(architecture, patch)._asdict(),
                "latency_ms": latency["median_ms"],
                "latency_iqr_ms": latency["iqr_ms"],
                "predicted_latency_ms": round(predict_latency_ms(calibration, architecture, patch), 3),
                "train_seconds": round(step / BATCH, 5),
                "predicted_train_seconds": round(predict_train_seconds(calibration, architecture, patch), 5),
            }
        )
        if len(rows) == count:
            return calibration, pd.DataFrame(rows)
    raise AssertionError("the generator does not end")


def correlations(times: pd.DataFrame) -> pd.DataFrame:
    """Spearman rank correlations of prediction and MACs with the measurement."""
    quartile = np.argsort(np.argsort(times["macs"].to_numpy(), kind="stable")) * 4 // len(times)
    rows = []
    for what in ("latency_ms", "train_seconds"):
        for by, values in (("predictor", times[f"predicted_{what}"]), ("macs", times["macs"])):
            parts = [spearmanr(values[quartile == q], times[what][quartile == q])[0] for q in range(4)]
            error = np.abs(times[f"predicted_{what}"] / times[what] - 1).median() if by == "predictor" else np.nan
            rows.append(
                {"measured": what, "by": by, "all": spearmanr(values, times[what])[0]}
                | {f"quartile {q + 1}": value for q, value in enumerate(parts)}
                | {"median relative error": error}
            )
    return pd.DataFrame(rows).round(3)


def asked_memory(count: int, seed: int) -> list[Asked]:
    """U-Nets and CNNs with batches of 2 to 4 in both precisions and sufficiently high peaks."""
    rng = np.random.default_rng(derive_seed(seed, "memory"))
    drawn = {family: draw(family, "held-out memory", WORK["memory"], seed) for family in PLANS}
    found: list[Asked] = []
    while len(found) < count:
        family = "unet" if rng.random() < 0.6 else "cnn"
        asked = Asked(next(drawn[family]), PLANS[family].patch, int(rng.integers(2, 5)), bool(rng.random() < 0.5))
        slow = work(asked.architecture, asked.patch) * asked.batch * (1 if asked.bf16 else 2)
        if slow <= WORK["memory"] and LEAST_MIB < predicted_mib(asked) < SLOW_MIB:
            found.append(asked)
    return found


def predicted_mib(asked: Asked) -> float:
    """Prediction of the model."""
    return training_mib(asked.architecture, asked.patch, asked.batch, asked.bf16)


def measure_memory(count: int, held: int, seed: int) -> pd.DataFrame:
    """Measure `count` peaks, the first `held` also with the default allocator of glibc."""
    asked = asked_memory(count, seed)
    requests = [
        memory_request(a.architecture, (a.batch, 1, *a.patch), True, 1, "bf16" if a.bf16 else "float32") for a in asked
    ]
    rows = []
    for a, answer in zip(asked, measure_peaks(requests), strict=True):
        rows.append(
            {
                "family": a.architecture.family,
                "block": "+".join(sorted(set(a.architecture.block))),
                "norm": a.architecture.norm,
                "activation": a.architecture.activation,
                "downsample": a.architecture.downsample,
                "patch": "x".join(map(str, a.patch)),
                "batch": a.batch,
                "precision": "bf16" if a.bf16 else "float32",
                "measured_mib": round(answer.get("mib") or np.nan, 1),
                "predicted_mib": round(predicted_mib(a), 1),
            }
        )
    kept = [answer.get("mib") for answer in measure_peaks(requests[:held], held=True)] if held else []
    table = pd.DataFrame(rows)
    table["held_mib"] = pd.Series(kept, dtype=float).round(1)
    return table


def memory_errors(table: pd.DataFrame) -> pd.DataFrame:
    """Share of predictions within 15 %, median and maximum relative error, above 200 MiB."""
    counted = table[table["measured_mib"] > LEAST_COUNTED_MIB]
    rows = []
    groups = [("all", counted), *counted.groupby("precision"), *counted.groupby("family")]
    for name, part in groups:
        error = part["predicted_mib"] / part["measured_mib"] - 1
        rows.append(
            {
                "of": name,
                "networks": len(part),
                "within 15 %": (error.abs() <= 0.15).mean(),
                "median error": error.abs().median(),
                "worst": error.loc[error.abs().idxmax()],
            }
        )
    return pd.DataFrame(rows).round(3)


def profiling_ms(count: int, seed: int) -> pd.DataFrame:
    """Milliseconds per architecture of the counts and predictions from shapes."""
    drawn = draw("unet", "profiling", WORK["memory"], seed)
    architectures, patch, rows = [next(drawn) for _ in range(count)], PLANS["unet"]["patch"], []
    for name, count_one in (
        ("parameters, MACs, activations", lambda a: analyze(a, patch)),
        ("memory of a training step", lambda a: training_mib(a, patch, BATCH, True)),
    ):
        expand.cache_clear()
        spent = []
        for architecture in architectures:
            begun = time.perf_counter()
            count_one(architecture)
            spent.append(1e3 * (time.perf_counter() - begun))
        rows.append({"what": name, "median_ms": np.median(spent), "largest_ms": max(spent)})
    return pd.DataFrame(rows).round(3)


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the tables")
    parser.add_argument("--times", type=int, default=100, help="number of timed architectures")
    parser.add_argument("--memory", type=int, default=100, help="number of architectures with measured memory")
    parser.add_argument("--held", type=int, default=20, help="of these, also measured with glibc's default allocator")
    parser.add_argument("--seconds", type=float, default=180, help="time of the calibration")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    def publish(name: str, table: pd.DataFrame) -> None:
        write_table(arguments.output / f"{name}.tsv", table)
        print(table.to_string(index=False), flush=True)

    publish("profiling", profiling_ms(200, arguments.seed))
    if arguments.times:
        calibration, times = measure_times(arguments.times, arguments.seconds, arguments.seed)
        facts = calibration.model_dump(include={"device", "seconds", "nodes", "error", "model"})
        write_json(arguments.output / "calibration.json", facts | {"networks": len(calibration.table)})
        write_table(arguments.output / "times.tsv", times)
        publish("correlations", correlations(times))
    if arguments.memory:
        memory = measure_memory(arguments.memory, arguments.held, arguments.seed)
        write_table(arguments.output / "memory.tsv", memory)
        publish("memory_errors", memory_errors(memory))


if __name__ == "__main__":
    main()
