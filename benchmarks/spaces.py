"""Time to draw, identify and profile architectures, for every space of config/search_spaces.

    python benchmarks/spaces.py --count 2000        about a minute on one core

Drawing comprises the operations of a search on each candidate: sample, validate, decode, key. Profiling is the analytic
count of parameters, MACs and activations on the patch from the record, without tensors and without a cache. The
targets are 10,000 draws in 30 s and 5 ms per profile.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from voxnas.arch.families import expand
from voxnas.arch.graph import graph_digest
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.core.plan import VolumeFingerprint, VolumePlan

SPACES = Path(__file__).parents[1] / "config" / "search_spaces"
SIDE = (128, 128, 128)
PLAN = VolumePlan(
    task="segmentation",
    spacing=(1, 1, 1),
    normalize="zscore",
    crop=True,
    patch=SIDE,
    strides=((1, 1, 1), *((2, 2, 2),) * 5),
    kernels=((3, 3, 3),) * 6,
    channels=1,
    outputs=3,
    fingerprint=VolumeFingerprint(median_shape=SIDE, median_spacing=(1, 1, 1), scans=1),
)
COLUMNS = ("10,000 drawn, s", "profile, ms", "slowest, ms", "nodes", "digest, ms")


def timed(work: Callable[[Any], Any], items: Iterable[Any]) -> tuple[list[Any], np.ndarray]:
    """Results, and milliseconds per call."""
    results, spent = [], []
    for item in items:
        begun = time.perf_counter()
        results.append(work(item))
        spent.append((time.perf_counter() - begun) * 1e3)
    return results, np.array(spent)


def measure(path: Path, count: int) -> list[str]:
    """One row of the table."""
    space = SearchSpace.from_dict(yaml.safe_load(path.read_text()), path.name)
    plan = PLAN.model_copy(update={"task": space.family.tasks[0]})
    rng = np.random.default_rng(0)

    def draw(_: int) -> str:
        config = space.sample(rng)
        space.validate(config)
        return space.key(config, plan)

    def profile(architecture: Any) -> None:
        expand.cache_clear()
        analyze(architecture, plan.patch)

    _, drawing = timed(draw, range(count))
    networks = [space.decode(space.sample(rng), plan)[0] for _ in range(min(count, 300))]
    _, profiling = timed(profile, networks)
    graphs = [expand(network) for network in networks]
    _, digesting = timed(graph_digest, graphs)
    nodes = np.mean([len(graph.nodes) for graph in graphs])
    return [
        f"{drawing.mean() * 10:.1f}",
        f"{np.median(profiling):.2f}",
        f"{profiling.max():.2f}",
        f"{nodes:.0f}",
        f"{np.median(digesting):.2f}",
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000, help="number of architectures per space")
    count = parser.parse_args().count
    print(f"{'space':<16}", *(f"{name:>16}" for name in COLUMNS))
    for path in sorted(SPACES.glob("*.yaml")):
        print(f"{path.stem:<16}", *(f"{cell:>16}" for cell in measure(path, count)), flush=True)


if __name__ == "__main__":
    main()
