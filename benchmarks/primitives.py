"""Times of all blocks and of grouped convolutions, as ratios within one run, on one thread.

    python benchmarks/primitives.py --output primitives.tsv

- ``block``: every registered block against the plain 3x3x3 convolution of equal channels (with norm and
  activation), in the training precision of this processor;
- ``shift``: the same for Shift with 7 and with 27 directions, in both precisions, and with more channels;
- ``convolution``: dense, grouped and depthwise 3x3x3 convolutions in all memory formats and precisions, against
  PyTorch on contiguous float32; ``ours`` is the convolution of the blocks (:func:`voxnas.nn.ops.base.make_conv`);
- ``norm``: instance norm against the equivalent group norm with one group per channel.

A case and its reference take turns. The table holds the median of the ratio of consecutive turns and half its
interquartile range. Times are processor times, which are robust to other work on the machine. A training step is a
forward and a backward pass, to the input and to the weights. Memory is the memory that the forward pass keeps for the
backward pass.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import nn

from voxnas.arch.graph import GraphBuilder, infer_shapes
from voxnas.arch.primitives.base import blocks
from voxnas.io.tables import write_table
from voxnas.nn.build import initialize
from voxnas.nn.network import Network
from voxnas.nn.ops.base import make_conv
from voxnas.nn.precision import resolve_precision

SIZE, BATCH = (40, 56, 40), 2
SECONDS = 1  # beyond this time a case is repeated at most twice
TYPES = {"float32": None, "bf16": torch.bfloat16}
FORMATS = {"contiguous": torch.contiguous_format, "channels_last_3d": torch.channels_last_3d}
Make = Callable[[], tuple[nn.Module, int]]
"""Makes a module, and gives its multiply-adds for one sample."""


@dataclass(frozen=True)
class Case:
    """A timed case and its reference, which may differ in `type` and `format` (the attributes are of the case)."""

    part: str
    name: str
    channels: int
    make: Make
    reference: Make
    type: str = "float32"
    format: str = "contiguous"
    reference_type: str = "float32"


def block(op: str, channels: int, **options: bool) -> Make:
    """A block with equal channels in and out, and a kernel of 3."""

    def make() -> tuple[nn.Module, int]:
        builder = GraphBuilder(channels, 3)
        graph = builder.finish(builder.add(op, "input", channels, 3, options=options))
        return Network(graph), sum(layer.macs for shaped in infer_shapes(graph, SIZE) for layer in shaped.layers)

    return make


def convolution(channels: int, groups: int, ours: bool = False) -> Make:
    """A bare convolution with a kernel of 3."""
    three, one = (3, 3, 3), (1, 1, 1)

    def make() -> tuple[nn.Module, int]:
        macs = 27 * channels * channels // groups * SIZE[0] * SIZE[1] * SIZE[2]
        if ours:
            return make_conv(channels, channels, three, one, groups), macs
        return nn.Conv3d(channels, channels, three, one, one, groups=groups, bias=False), macs

    return make


def cases(channels: tuple[int, ...]) -> Iterator[Case]:
    """All cases."""
    usual = "float32" if resolve_precision("auto") is None else "bf16"
    for count in channels:
        for op in blocks():
            yield Case("block", op, count, block(op, count), block("plain", count), usual, reference_type=usual)
    for count in (*channels, 2 * channels[-1]):
        for kind in TYPES:
            for name, diagonals in (("shift, 7 directions", False), ("shift, 27 directions", True)):
                made = block("shift", count, diagonals=diagonals)
                yield Case("shift", name, count, made, block("plain", count), kind, reference_type=kind)
    for count in channels:
        for groups in (1, 2, 4, count):
            label = {1: "dense", count: "depthwise"}.get(groups, f"{groups} groups")
            for kind in TYPES:
                for layout in FORMATS:
                    for ours in (False, True) if groups in (1, count) and layout == "contiguous" else (False,):
                        name = f"{label}, ours" if ours else label
                        made = convolution(count, groups, ours)
                        yield Case("convolution", name, count, made, convolution(count, groups), kind, layout)
    for count in channels:
        for kind in TYPES:
            yield Case(
                "norm",
                "group norm, a group for each channel",
                count,
                lambda count=count: (nn.GroupNorm(count, count), 0),
                lambda count=count: (nn.InstanceNorm3d(count, affine=True), 0),
                kind,
                reference_type=kind,
            )


class Subject:
    """A module with its input.

    Parameters
    ----------
    make : callable
    channels : int
    kind, layout : str
        Keys of TYPES and FORMATS.
    """

    def __init__(self, make: Make, channels: int, kind: str, layout: str) -> None:
        torch.manual_seed(0)
        self.module, self.macs = make()
        self.module.apply(initialize)
        self.type = TYPES[kind]
        x = torch.randn(BATCH, channels, *SIZE).to(self.type or torch.float32)  # as within a network
        self.input = x.contiguous(memory_format=FORMATS[layout])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the module in its precision."""
        with torch.autocast("cpu", torch.bfloat16, enabled=self.type is not None):
            return self.module(x)

    def infer(self) -> float:
        """Seconds of an inference."""
        self.module.eval()
        with torch.no_grad():
            start = time.process_time()
            self.forward(self.input)
            return time.process_time() - start

    def train(self) -> float:
        """Seconds of a forward and a backward pass."""
        self.module.train()
        x = self.input.detach().requires_grad_()
        start = time.process_time()
        y = self.forward(x)
        if not y.requires_grad:  # the operation that outputs zeros
            return time.process_time() - start
        y.backward(y.detach())
        return time.process_time() - start

    def kept(self) -> int:
        """Bytes that a forward pass keeps for the backward pass, without parameters."""
        own = {p.untyped_storage().data_ptr() for p in self.module.parameters()}
        found: dict[int, int] = {}

        def keep(x: torch.Tensor) -> torch.Tensor:
            storage = x.untyped_storage()
            if storage.data_ptr() not in own:
                found[storage.data_ptr()] = storage.nbytes()
            return x

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
            y = self.forward(self.input.detach().requires_grad_())
        del y
        return sum(found.values())


def measure(case: Case, repeats: int) -> dict[str, object]:
    """One row of the table."""
    subject = Subject(case.make, case.channels, case.type, case.format)
    reference = Subject(case.reference, case.channels, case.reference_type, "contiguous")
    row: dict[str, object] = {
        "part": case.part,
        "case": case.name,
        "channels": case.channels,
        "type": case.type,
        "format": case.format,
        "macs_ratio": subject.macs / reference.macs if reference.macs else None,
        "memory_ratio": subject.kept() / reference.kept(),
    }
    for what in ("infer", "train"):
        pairs = []
        getattr(subject, what)(), getattr(reference, what)()  # warm up
        while len(pairs) < 2 or (len(pairs) < repeats and sum(map(sum, pairs)) < SECONDS):
            pairs.append((getattr(subject, what)(), getattr(reference, what)()))
        ratios = [a / b for a, b in pairs]
        quarters = statistics.quantiles(ratios, n=4)
        row[f"{what}_ratio"] = statistics.median(ratios)
        row[f"{what}_spread"] = (quarters[2] - quarters[0]) / 2
        row[f"{what}_ms"] = 1e3 * statistics.median(a for a, _ in pairs) / BATCH
    return row


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="8 channels, fewer repetitions: two minutes, not twenty")
    parser.add_argument("--parts", nargs="*", default=["block", "shift", "convolution", "norm"], help="parts to run")
    parser.add_argument("--output", type=Path, help="TSV file for the table")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for case in cases((8,) if arguments.quick else (8, 16, 32)):
        if case.part not in arguments.parts:
            continue
        row = measure(case, repeats=2 if arguments.quick else 5)
        rows.append(row)
        title = f"{row['part']:<12}{row['case']:<38}{row['channels']:>4} {row['type']:<8}{row['format']:<17}"
        numbers = f"inference {row['infer_ratio']:7.2f}  training {row['train_ratio']:7.2f}"
        print(f"{title}{numbers}  memory {row['memory_ratio']:5.2f}", flush=True)
    if arguments.output:
        write_table(arguments.output, pd.DataFrame(rows).round(4))


if __name__ == "__main__":
    main()
