"""Measured cost: time of a forward pass and of a training step on this device."""

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
    """Return the clock for a device, in seconds: processor time, or wall time for a GPU.

    Processor time, summed over the threads, is less sensitive than wall time to other load on the machine. During a GPU
    computation the processor only waits.

    Parameters
    ----------
    device : device
    """
    return time.perf_counter if device.type == "cuda" else time.process_time


def spread_of(seconds: Sequence[float]) -> dict[str, float]:
    """Summarise times: ``median_ms``, ``iqr_ms`` (interquartile range) and ``repeats``."""
    low, median, high = map(float, np.percentile(1e3 * np.array(seconds), [25, 50, 75]))
    return {"median_ms": round(median, 4), "iqr_ms": round(high - low, 4), "repeats": len(seconds)}


def measure_latency(
    network: nn.Module, shape: tuple[int, ...], repeats: int, warmup: int = 2, precision: str = "auto"
) -> dict[str, float]:
    """Measure the wall time of a forward pass on this device; the input is already on the device.

    With one thread on a processor the processor time is measured, which is the wall time of an idle machine.

    Parameters
    ----------
    network : Module
        Set to evaluation mode and moved to the device.
    shape : tuple of int, (B, C, D, H, W)
        Shape of the input.
    repeats, warmup : int
        Timed passes, and untimed passes before them.
    precision : str
        See :func:`voxnas.nn.precision.resolve_precision`.

    Returns
    -------
    dict
        ``median_ms``, ``iqr_ms`` (interquartile range) and ``repeats``.
    """
    device = compute_device()
    network.to(device).eval()
    x = torch.zeros(shape, device=device)
    clock = cpu_clock(device) if torch.get_num_threads() == 1 else time.perf_counter
    with torch.inference_mode(), autocast(precision, device):
        return _timed(lambda: network(x), clock, repeats, warmup)


def _timed(work: Callable[[], Any], clock: Callable[[], float], repeats: int, warmup: int) -> dict[str, float]:
    times = []
    for _ in range(warmup + repeats):
        begun = clock()
        work()
        synchronize(compute_device())
        times.append(clock() - begun)
    return spread_of(times[warmup:])


def training_step(
    network: nn.Module, shape: tuple[int, ...], precision: str, settled: bool = False, update: bool = True
) -> Callable[[], None]:
    """Return a function that performs one training step on a random batch: forward, loss, backward, AdamW.

    The loss is the cross-entropy plus a softmax term at each output, with the cost of Dice and cross-entropy.

    Parameters
    ----------
    network : Module
        Set to training mode and moved to the device.
    shape : tuple of int, (B, C, D, H, W)
        Shape of the input.
    precision : str
        See :func:`voxnas.nn.precision.resolve_precision`.
    settled : bool
        Whether the optimizer's state is allocated beforehand, as from the second step on.
    update : bool
        Whether AdamW updates the weights.
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
        if update:
            optimizer.step()

    return step


def measure_step(
    network: nn.Module,
    shape: tuple[int, ...],
    repeats: int,
    warmup: int = 1,
    precision: str = "auto",
    update: bool = True,
) -> dict[str, float]:
    """Measure the time of one training step: CPU time summed over the threads, or wall time on a GPU.

    Parameters and result are those of :func:`measure_latency` and of :func:`training_step`.
    """
    step = training_step(network, shape, precision, update=update)
    return _timed(step, cpu_clock(compute_device()), repeats, warmup)


def device_record(threads: int, precision: str) -> dict[str, Any]:
    """Describe the device of a measurement: GPU or processor, cores, versions, threads and precision."""
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
