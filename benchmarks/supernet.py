"""Memory and time of a step of each gradient search on one supernet, as ratios within one run, on one thread.

    python benchmarks/supernet.py --output memory.tsv

The supernet has the operations and the nodes of config/search_spaces/cells-unet.yaml. A step consists of a pass for the
alphas and a pass for the weights, each with its backward pass, on batches of one patch. All methods have the same
channels, nodes, patch and precision; ``darts`` is the reference of the memory. The reference of the time is a training
step of a discrete network with two convolutions a node in the same skeleton.

- ``saved_mib``: bytes that autograd keeps for the backward pass, each tensor once, without weights; the larger pass;
- ``peak_mib``: increment of the resident memory over that before the network was built, in a process of its own,
  with AdamW's state;
- ``seconds``: processor time of a step, the median of turns in which the methods alternate.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import torch
import yaml

from voxnas.arch.families.cells import Cells
from voxnas.arch.families.supernet import MixedCells
from voxnas.core.architecture import Architecture
from voxnas.io.tables import write_table
from voxnas.nn.build import build_network
from voxnas.nn.network import Network
from voxnas.nn.precision import autocast
from voxnas.training.losses import dice_ce, supervised
from voxnas.training.steps.alphas import find_alphas

SPACE = Path(__file__).parents[1] / "config" / "search_spaces" / "cells-unet.yaml"
SAMPLES = {"darts": (0, 0, False), "scnas": (2, 2, False), "scnas-1": (1, 2, False), "gdas": (1, 2, True)}
"""Sampled operations of an edge, sampled edges of a node, and whether weights are hard; 0: all."""
TURNS, TEMPERATURE = 5, 0.5
MIB = 2**20
RETURNING = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # bytes; freed blocks return to the system


def architectures(width: int) -> tuple[MixedCells, Cells]:
    """The supernet, and a discrete network of its skeleton with two convolutions a node."""
    cell = yaml.safe_load(SPACE.read_text())["cell"]
    skeleton = {
        "in_channels": 1, "out_channels": 3, "widths": (width, 2 * width, 4 * width), "cells": (1, 1, 1),
        "strides": ((1, 1, 1), (2, 2, 2), (2, 2, 2)), "kernels": ((3, 3, 3),) * 3, "decoder": True,
    }  # fmt: skip
    nodes = tuple(((node, "plain"), (node + 1, "plain")) for node in range(cell["nodes"]))
    supernet = MixedCells(**skeleton, nodes=cell["nodes"], operations=tuple(cell["operations"]))
    return supernet, Cells(**skeleton, normal=nodes, reduction=nodes, up=nodes)


class Step:
    """Steps of one method.

    Parameters
    ----------
    method : str
        A key of :data:`SAMPLES`, or ``discrete``.
    width, size : int
        Channels of the first stage, and voxels of the patch along each axis.
    precision : str
    recompute : bool
    """

    def __init__(self, method: str, width: int, size: int, precision: str, recompute: bool) -> None:
        torch.manual_seed(0)
        supernet, discrete = architectures(width)
        architecture: Architecture = discrete if method == "discrete" else supernet
        self.network: Network = build_network(architecture).train()
        self.network.recompute = recompute
        self.samples, self.precision = SAMPLES.get(method), precision
        self.alphas = find_alphas(self.network)
        self.weights = [p for p in self.network.parameters() if not any(p is a for a in self.alphas)]
        self.optimizer = torch.optim.AdamW(self.weights, lr=1e-3)
        self.x, self.label = torch.randn(1, 1, *[size] * 3), torch.randint(0, 3, (1, *[size] * 3))
        self.generator = torch.Generator().manual_seed(0)

    def loss(self) -> torch.Tensor:
        """Draw operations and compute the loss of a patch."""
        if self.samples is not None and self.samples[0]:
            for mix in self.network.owned().values():
                operations, edges, hard = self.samples
                mix.draw = mix.sample(self.generator, operations, edges, TEMPERATURE, hard)
            self.network.choose()
        with autocast(self.precision):
            outputs = self.network(self.x)
        return supervised(dice_ce, outputs, self.label)

    def passes(self) -> list[Callable[[], None]]:
        """The pass for the alphas, of a supernet, and that for the weights."""

        def update_alphas() -> None:
            self._let_learn(True)
            torch.autograd.grad(self.loss(), self.alphas, allow_unused=True)
            self._let_learn(False)

        def update_weights() -> None:
            self.loss().backward()
            self.optimizer.step()
            self.optimizer.zero_grad()

        self._let_learn(False)
        return [update_alphas, update_weights] if self.alphas else [update_weights]

    def _let_learn(self, whether: bool) -> None:
        for parameter in self.alphas:
            parameter.requires_grad_(whether)


def saved_mib(step: Step) -> float:
    """Largest number of MiB that a pass keeps for its backward pass."""
    weights = {p.untyped_storage().data_ptr() for p in (*step.network.parameters(), *step.network.buffers())}
    found: list[float] = []
    for run in step.passes():
        kept: dict[int, int] = {}
        alive: list[torch.Tensor] = []

        def pack(x: torch.Tensor, kept: dict[int, int] = kept, alive: list[torch.Tensor] = alive) -> torch.Tensor:
            storage = x.untyped_storage()
            if storage.data_ptr() not in weights and x is not step.x:
                kept[storage.data_ptr()] = storage.nbytes()
                alive.append(x)  # so that no address is used twice
            return x

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
            step._let_learn(run.__name__ == "update_alphas")
            step.loss()
        found.append(sum(kept.values()) / MIB)
    return max(found)


def peak_mib(arguments: list[str]) -> float:
    """Increment of the resident memory of two steps, in a process of its own."""
    command = [sys.executable, __file__, "--peak", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **RETURNING})
    return float(json.loads(done.stdout))


def _print_peak(arguments: list[str]) -> None:
    method, width, size, precision, recompute = arguments
    torch.set_num_threads(1)
    warm = Step(method, 2, 8, precision, recompute == "True")  # loads the code that every method needs
    for run in warm.passes():
        run()
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark (proc(5))
    before = _status("VmRSS")
    step = Step(method, int(width), int(size), precision, recompute == "True")
    for _ in range(2):
        for run in step.passes():
            run()
    print(_status("VmHWM") - before)


def _status(field: str) -> float:
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[field].split()[0]) / 1024


def main() -> None:
    """Measure all methods and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--width", type=int, default=8, help="channels of the first stage")
    parser.add_argument("--size", type=int, default=40, help="voxels of the patch along each axis")
    parser.add_argument("--precision", default="bf16", choices=["float32", "bf16"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [(method, recompute) for method in (*SAMPLES, "discrete") for recompute in (False, True)]
    steps = {case: Step(case[0], arguments.width, arguments.size, arguments.precision, case[1]) for case in cases}
    seconds: dict[tuple[str, bool], list[float]] = {case: [] for case in cases}
    for _ in range(TURNS + 1):
        for case, step in steps.items():
            start = time.process_time()
            for run in step.passes():
                run()
            seconds[case].append(time.process_time() - start)
    rows = []
    for case, step in steps.items():
        method, recompute = case
        settings = [str(arguments.width), str(arguments.size), arguments.precision, str(recompute)]
        rows.append(
            {
                "method": method,
                "recompute": recompute,
                "saved_mib": saved_mib(step),
                "peak_mib": peak_mib([method, *settings]),
                "seconds": statistics.median(seconds[case][1:]),
            }
        )
    table = pd.DataFrame(rows)
    darts, discrete = table.iloc[0], table[(table.method == "discrete") & ~table.recompute].iloc[0]
    table["saved_ratio"], table["peak_ratio"] = table.saved_mib / darts.saved_mib, table.peak_mib / darts.peak_mib
    table["seconds_ratio"] = table.seconds / discrete.seconds
    write_table(arguments.output, table.round(4))
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        _print_peak(sys.argv[2:])
    else:
        main()
