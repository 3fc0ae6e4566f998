"""Measured cost: the time of a forward pass and of a training step on this device."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from voxnas.nn.precision import autocast, resolve_precision


def measure_latency(
    network: nn.Module, shape: tuple[int, ...], repeats: int, warmup: int = 2, precision: str = "auto"
) -> dict[str, float]:
    """Wall time of a forward pass.

    Parameters
    ----------
    network : Module
        Set to evaluation.
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
    network.eval()
    x = torch.zeros(shape)
    times = []
    with torch.inference_mode(), autocast(precision):
        for _ in range(warmup + repeats):
            begun = time.perf_counter()
            network(x)
            times.append(1e3 * (time.perf_counter() - begun))
    low, median, high = map(float, np.percentile(times[warmup:], [25, 50, 75]))
    return {"median_ms": round(median, 4), "iqr_ms": round(high - low, 4), "repeats": repeats}


def training_step(network: nn.Module, shape: tuple[int, ...], precision: str) -> Callable[[], None]:
    """A function that does one training step on a random batch: forward, loss, backward, AdamW.

    The loss is a cross-entropy with a softmax term at each output, which costs what Dice with
    cross-entropy does.
    """
    network.train()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-4)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))

    def step() -> None:
        optimizer.zero_grad()
        with autocast(precision):
            outputs = network(x)
        loss = torch.zeros(())
        for logits in outputs if isinstance(outputs, list) else [outputs]:
            logits = logits.float()
            target = torch.zeros((logits.shape[0], *logits.shape[2:]), dtype=torch.long)
            loss = loss + F.cross_entropy(logits, target) + logits.softmax(1).square().mean()
        loss.backward()
        optimizer.step()

    return step


def measure_training(
    network: nn.Module, shape: tuple[int, ...], repeats: int, warmup: int = 1, precision: str = "auto"
) -> float:
    """CPU seconds of one training step, the median over `repeats`.

    CPU time, summed over the threads, depends less than wall time on what else the machine does.
    """
    step = training_step(network, shape, precision)
    times = []
    for _ in range(warmup + repeats):
        begun = time.process_time()
        step()
        times.append(time.process_time() - begun)
    return float(np.median(times[warmup:]))


def device_record(threads: int, precision: str) -> dict[str, Any]:
    """On what a measurement was made: processor, cores, versions, threads and precision."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": threads,
        "precision": "bf16" if resolve_precision(precision) is not None else "float32",
    }


def _processor() -> str:
    """The processor's name as its vendor gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
