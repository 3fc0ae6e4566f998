"""Timing of single nodes of networks, from which times are predicted (Cai et al. 2019, ICLR)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from voxnas.arch.families import expand
from voxnas.arch.graph import FACTS, ShapedNode, infer_shapes
from voxnas.arch.primitives.base import PRIMITIVES
from voxnas.complexity.measured import cpu_clock
from voxnas.core.architecture import Architecture
from voxnas.nn.build import initialize
from voxnas.nn.device import compute_device, synchronize
from voxnas.nn.ops.base import MODULES
from voxnas.nn.precision import autocast, resolve_precision

REPEATS = 3
LONG = 0.3  # seconds after which the timing of a node is not repeated


class TimedNode(NamedTuple):
    """A node with its times per sample: training (forward and backward) in seconds, inference in milliseconds."""

    shaped: ShapedNode
    train_seconds: float
    latency_ms: float


def time_nodes(
    networks: Iterable[tuple[Architecture, Sequence[int]]], batch: int, precision: str, seconds: float
) -> Iterator[TimedNode]:
    """Time the distinct nodes of networks, alternating between primitives and covering the range of cost of each.

    Parameters
    ----------
    networks : iterable of (Architecture, sequence of int)
        Networks with their input sizes, (D, H, W) or (T, D, H, W).
    batch : int
        Samples of a training step.
    precision : str
        See :func:`voxnas.nn.precision.resolve_precision`.
    seconds : float
        Processor time after which no further node is timed.
    """
    clock = cpu_clock(compute_device())
    begun = clock()
    for shaped in _in_turn(networks):
        if clock() - begun > seconds:
            return
        yield _time(shaped, batch, precision)


def _in_turn(networks: Iterable[tuple[Architecture, Sequence[int]]]) -> Iterator[ShapedNode]:
    """Yield one node of each primitive, then a second node of each, and so on."""
    distinct: dict[tuple, ShapedNode] = {}
    for architecture, size in networks:
        for shaped in infer_shapes(expand(architecture), tuple(size)):
            facts = tuple(getattr(shaped.node, fact) for fact in FACTS)
            distinct.setdefault((*facts, shaped.inputs), shaped)
    by_op: dict[str, list[ShapedNode]] = {}
    for shaped in distinct.values():
        by_op.setdefault(shaped.node.op, []).append(shaped)
    spread = [_halving(sorted(nodes, key=_work)) for _, nodes in sorted(by_op.items())]
    for turn in itertools.zip_longest(*spread):
        yield from (shaped for shaped in turn if shaped is not None)


def _work(shaped: ShapedNode) -> int:
    return sum(layer.macs + 100 * layer.elements for layer in shaped.layers)


def _halving(nodes: list[ShapedNode]) -> list[ShapedNode]:
    """Order nodes so that every initial part covers the whole list evenly (van der Corput sequence)."""
    bits = max(1, (len(nodes) - 1).bit_length())
    order = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(2**bits))
    return [nodes[i] for i in order if i < len(nodes)]


def _time(shaped: ShapedNode, batch: int, precision: str) -> TimedNode:
    device = compute_device()
    kind = resolve_precision(precision, device) or torch.float32
    module = MODULES[shaped.node.op](shaped.node, [shape.channels for shape in shaped.inputs])
    module.apply(initialize).to(device)

    temporal = PRIMITIVES[shaped.node.op].temporal

    def inputs(samples: int) -> list[torch.Tensor]:
        # A primitive without temporal operations treats each frame as a sample.
        leads = [(samples, s.frames) if temporal else (samples * s.frames,) for s in shaped.inputs]
        shapes = [(*lead, s.channels, *s.size) for lead, s in zip(leads, shaped.inputs, strict=True)]
        return [torch.randn(shape, device=device).to(kind) for shape in shapes]

    def infer() -> None:
        with torch.inference_mode(), autocast(precision, device):
            module(*one)

    def train() -> None:
        with autocast(precision, device):
            y = module(*several)
        torch.autograd.backward(y, torch.ones_like(y))
        for x in (*several, *module.parameters()):
            x.grad = None

    one, several = inputs(1), [x.requires_grad_() for x in inputs(batch)]
    module.eval()
    latency = _median(infer, device)
    module.train()
    return TimedNode(shaped, _median(train, device) / batch, 1e3 * latency)


def _median(work: Callable[[], None], device: torch.device) -> float:
    """Median time in seconds; the first run is omitted unless it exceeds the limit."""
    clock, times = cpu_clock(device), []
    for _ in range(1 + REPEATS):
        begun = clock()
        work()
        synchronize(device)
        times.append(clock() - begun)
        if sum(times) > LONG:
            break
    return float(np.median(times[1:] or times))
