"""Times single nodes of networks: the table of blocks from which latency is predicted (Cai et al. 2019, ICLR)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from voxnas.complexity.measured import cpu_clock
from voxnas.core.architecture import AnyArchitecture
from voxnas.core.graph import Placed, place
from voxnas.core.networks import expand
from voxnas.core.primitives.base import PRIMITIVES
from voxnas.nn.build import initialize
from voxnas.nn.device import compute_device, synchronize
from voxnas.nn.ops.base import MODULES
from voxnas.nn.precision import autocast, resolve_precision

REPEATS = 3
LONG = 0.3  # seconds after which a node is not repeated


class TimedNode(NamedTuple):
    """A node with what one sample takes: seconds of training (forward and backward), milliseconds of inference."""

    placed: Placed
    train_seconds: float
    latency_ms: float


def time_nodes(
    networks: Iterable[tuple[AnyArchitecture, Sequence[int]]], batch: int, precision: str, seconds: float
) -> Iterator[TimedNode]:
    """Time the distinct nodes of networks, every primitive in turn, from all over its range of cost.

    Parameters
    ----------
    networks : iterable of (AnyArchitecture, sequence of int)
        Each with the size of its input, (D, H, W) or (T, D, H, W).
    batch : int
        Samples of a training step.
    precision : str
        As in :func:`voxnas.nn.precision.resolve_precision`.
    seconds : float
        Processor time after which no further node is begun.
    """
    clock = cpu_clock(compute_device())
    begun = clock()
    for placed in _in_turn(networks):
        if clock() - begun > seconds:
            return
        yield _time(placed, batch, precision)


def _in_turn(networks: Iterable[tuple[AnyArchitecture, Sequence[int]]]) -> Iterator[Placed]:
    """One node of each primitive, then another of each .."""
    distinct: dict[tuple, Placed] = {}
    for architecture, size in networks:
        for placed in place(expand(architecture), tuple(size)):
            node = placed.node
            what = (node.op, node.channels, node.kernel, node.stride, node.norm, node.activation, node.options)
            distinct.setdefault((*what, placed.inputs), placed)
    by_op: dict[str, list[Placed]] = {}
    for placed in distinct.values():
        by_op.setdefault(placed.node.op, []).append(placed)
    spread = [_halving(sorted(nodes, key=_work)) for _, nodes in sorted(by_op.items())]
    for turn in itertools.zip_longest(*spread):
        yield from (placed for placed in turn if placed is not None)


def _work(placed: Placed) -> int:
    return sum(layer.macs + 100 * layer.elements for layer in placed.layers)


def _halving(nodes: list[Placed]) -> list[Placed]:
    """The same nodes so ordered that any beginning is spread over the whole (van der Corput's sequence)."""
    bits = max(1, (len(nodes) - 1).bit_length())
    order = (int(f"{i:0{bits}b}"[::-1], 2) for i in range(2**bits))
    return [nodes[i] for i in order if i < len(nodes)]


def _time(placed: Placed, batch: int, precision: str) -> TimedNode:
    device = compute_device()
    kind = resolve_precision(precision, device) or torch.float32
    module = MODULES[placed.node.op](placed.node, [shape.channels for shape in placed.inputs])
    module.apply(initialize).to(device)

    temporal = PRIMITIVES[placed.node.op].temporal

    def inputs(samples: int) -> list[torch.Tensor]:
        # What does not join frames sees each of them as a sample.
        leads = [(samples, s.frames) if temporal else (samples * s.frames,) for s in placed.inputs]
        shapes = [(*lead, s.channels, *s.size) for lead, s in zip(leads, placed.inputs, strict=True)]
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
    return TimedNode(placed, _median(train, device) / batch, 1e3 * latency)


def _median(work: Callable[[], None], device: torch.device) -> float:
    """Seconds, the first run not counted unless it took long."""
    clock, times = cpu_clock(device), []
    for _ in range(1 + REPEATS):
        begun = clock()
        work()
        synchronize(device)
        times.append(clock() - begun)
        if sum(times) > LONG:
            break
    return float(np.median(times[1:] or times))
