"""Measured cost: the time of a forward pass and of a training step on this device."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from voxnas.nn.device import compute_device, device_name, synchronize
from voxnas.nn.precision import autocast, precision_name


def cpu_clock(device: torch.device) -> Callable[[], float]:
    """A clock of this process's processor time; beside a GPU, for which the processor only waits, of wall time.

    Processor time, summed over the threads, depends less than wall time on what else the machine does.
    """
    return time.perf_counter if device.type == "cuda" else time.process_time


def spread_of(seconds: Sequence[float]) -> dict[str, float]:
    """``median_ms``, ``iqr_ms`` (third minus first quartile) and ``repeats`` of some times."""
    low, median, high = map(float, np.percentile(1e3 * np.array(seconds), [25, 50, 75]))
    return {"median_ms": round(median, 4), "iqr_ms": round(high - low, 4), "repeats": len(seconds)}


def measure_latency(
    network: nn.Module, shape: tuple[int, ...], repeats: int, warmup: int = 2, precision: str = "auto"
) -> dict[str, float]:
    """Wall time of a forward pass on this device, the input being there.

    With one thread on a processor it is the process's own time: the wall time of a machine that does nothing else.

    Parameters
    ----------
    network : Module
        Set to evaluation, and moved to the device.
    shape : tuple of int, (B, C, D, H, W)
        Input.
    repeats, warmup : int
        Timed passes, and passes before them that are not.
    precision : str
        As in :func:`voxnas.nn.precision.resolve_precision`.

    Returns
    -------
    dict
        ``median_ms`` and ``iqr_ms`` (third minus first quartile), and ``repeats``.
    """
    device = compute_device()
    network.to(device).eval()
    x = torch.zeros(shape, device=device)
    clock = cpu_clock(device) if torch.get_num_threads() == 1 else time.perf_counter
    times = []
    with torch.inference_mode(), autocast(precision, device):
        for _ in range(warmup + repeats):
            begun = clock()
            network(x)
            synchronize(device)
            times.append(clock() - begun)
    return spread_of(times[warmup:])


def training_step(
    network: nn.Module, shape: tuple[int, ...], precision: str, settled: bool = False
) -> Callable[[], None]:
    """A function that does one training step on a random batch: forward, loss, backward, AdamW.

    The loss is a cross-entropy with a softmax term at each output, which costs what Dice with
    cross-entropy does. With `settled` the optimizer's state is there already, as from the second step on.
    """
    device = compute_device()
    network.to(device).train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    if settled:
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        optimizer.step()
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).to(device)

    def step() -> None:
        optimizer.zero_grad()
        with autocast(precision, device):
            outputs = network(x)
        loss = torch.zeros((), device=device)
        for logits in outputs if isinstance(outputs, list) else [outputs]:
            logits = logits.float()
            target = torch.zeros((logits.shape[0], *logits.shape[2:]), dtype=torch.long, device=device)
            loss = loss + F.cross_entropy(logits, target) + logits.softmax(1).square().mean()
        loss.backward()
        optimizer.step()

    return step


def measure_step(
    network: nn.Module, shape: tuple[int, ...], repeats: int, warmup: int = 1, precision: str = "auto"
) -> dict[str, float]:
    """Time of one training step: CPU time summed over the threads, or wall time on a GPU.

    Takes and returns what :func:`measure_latency` does.
    """
    device = compute_device()
    clock = cpu_clock(device)
    step = training_step(network, shape, precision)
    times = []
    for _ in range(warmup + repeats):
        begun = clock()
        step()
        synchronize(device)
        times.append(clock() - begun)
    return spread_of(times[warmup:])


def measure_training(
    network: nn.Module, shape: tuple[int, ...], repeats: int, warmup: int = 1, precision: str = "auto"
) -> float:
    """Median seconds of :func:`measure_step`."""
    return measure_step(network, shape, repeats, warmup, precision)["median_ms"] / 1e3


def device_record(threads: int, precision: str) -> dict[str, Any]:
    """On what a measurement was made: GPU or processor, cores, versions, threads and precision."""
    device = compute_device()
    return {
        "processor": device_name(device),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": threads,
        "precision": precision_name(precision, device),
    }
