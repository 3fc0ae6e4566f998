"""Export of networks to ONNX and OpenVINO: agreement with PyTorch in float32, failures by name and reason.

    pip install '.[deploy]'
    python benchmarks/export.py --count 10 --output export.tsv

The networks are every registered block alone, every registered hand-made network, and random networks of every space
of config/search_spaces, all untrained. An export passes if it has at least 99.99 % of the classes of PyTorch and a
relative difference of at most 0.001 for smooth random inputs: a batch of one, and a batch of two with larger volumes
where the task is segmentation.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml

from voxnas.arch.families import expand
from voxnas.arch.graph import GraphBuilder
from voxnas.arch.primitives.base import blocks
from voxnas.arch.reference import NETWORKS
from voxnas.arch.search_space import SearchSpace
from voxnas.arch.views import input_shape
from voxnas.core.errors import UserError
from voxnas.core.plan import VolumeFingerprint, VolumePlan
from voxnas.deploy.export import (
    check_parity,
    compare_exported,
    convert_openvino,
    export_onnx,
    random_inputs,
)
from voxnas.io.tables import write_table
from voxnas.nn.build import initialize
from voxnas.nn.network import Network

SPACES = Path(__file__).parents[1] / "config" / "search_spaces"
SIDE, CHANNELS, FRAMES, STAGES = 32, 2, 4, 6


class Case(NamedTuple):
    """A network by its source and name, the shape of its input, and whether it takes volumes of any size."""

    source: str
    name: str
    network: Network
    shape: tuple[int, ...]
    any_size: bool


def plan_of(space: SearchSpace) -> VolumePlan:
    """Plan of the first task of a space; a matrix is a volume of one slice."""
    flat = space.family.views == ("connectivity",)
    size, kernel, stride = ((1, SIDE, SIDE), (1, 3, 3), (1, 2, 2)) if flat else ((SIDE,) * 3, (3, 3, 3), (2, 2, 2))
    task = space.family.tasks[0]
    return VolumePlan(
        task=task,
        spacing=(1, 1, 1),
        normalize="zscore",
        crop=True,
        patch=size,
        strides=((1, 1, 1), *(stride,) * (STAGES - 1)),
        kernels=((1, 3, 3), *(kernel,) * (STAGES - 1)),
        channels=CHANNELS,
        outputs=3 if task == "segmentation" else 2,
        frames=FRAMES,
        fingerprint=VolumeFingerprint(median_shape=size, median_spacing=(1, 1, 1), scans=1),
    )


def cases(count: int, parts: list[str]) -> Iterator[Case]:
    """All networks."""
    volume = (1, CHANNELS, SIDE, SIDE, SIDE)
    if "blocks" in parts:
        for op in blocks():
            builder = GraphBuilder(CHANNELS, 3)
            hidden = builder.add("plain", "input", 8, 3)
            yield Case("block", op, Network(builder.finish(builder.add(op, hidden, 8, 3))), volume, True)
    if "registered" in parts:
        for name in NETWORKS:
            entry = NETWORKS[name]
            square = name == "brainnetcnn"
            shape = (1, CHANNELS, 1, SIDE, SIDE) if square else volume
            yield Case("registered", name, Network(entry(CHANNELS, 3)), shape, "segmentation" in entry.tasks)
    if "spaces" in parts:
        for path in sorted(SPACES.glob("*.yaml")):
            space = SearchSpace.from_dict(yaml.safe_load(path.read_text()), path.name)
            plan, rng = plan_of(space), np.random.default_rng(0)
            for number in range(count):
                architecture, _ = space.decode(space.sample(rng), plan)
                network = Network(expand(architecture))
                shape = input_shape(architecture, plan, 1)
                yield Case(path.stem, str(number), network, shape, plan.task == "segmentation")


def measure(case: Case, folder: Path) -> dict[str, object]:
    """One row of the table; `folder` is for the exported files."""
    torch.manual_seed(0)
    network = case.network.apply(initialize).eval()
    row: dict[str, object] = {
        "source": case.source,
        "network": case.name,
        "parameters": sum(p.numel() for p in network.parameters()),
    }
    inputs = random_inputs(case.shape, network.divisor, case.any_size)
    failures = []
    try:
        export_onnx(network, case.shape, folder / "network.onnx", case.any_size)
        convert_openvino(folder / "network.onnx", folder / "network.xml")
    except UserError as error:
        return {**row, "failure": error.what}
    for name, file in (("onnx", "network.onnx"), ("openvino", "network.xml")):
        try:
            parity = compare_exported(network, folder / file, 1, inputs)
            row |= {f"{name}_agreement": parity.agreement, f"{name}_difference": parity.difference}
            check_parity(parity, name)
        except UserError as error:
            failures.append(error.what)
    return {**row, "failure": "; ".join(failures)}


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10, help="random networks per space")
    parser.add_argument("--parts", nargs="+", default=["blocks", "registered", "spaces"], help="networks to export")
    parser.add_argument("--output", type=Path, help="TSV file for the table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(arguments.count, arguments.parts):
            rows.append(measure(case, Path(folder)))
            print(*rows[-1].values(), flush=True)
            if arguments.output:
                write_table(arguments.output, pd.DataFrame(rows))
    table = pd.DataFrame(rows)
    print(table.assign(passed=table.failure == "").groupby("source", sort=False).passed.agg(["sum", "count"]))


if __name__ == "__main__":
    main()
