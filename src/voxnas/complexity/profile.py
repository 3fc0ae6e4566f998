"""Profile of a network: analytic and measured cost of prediction and training."""

from __future__ import annotations

from typing import Any

import torch

from voxnas.arch.families import family_of
from voxnas.arch.views import input_shape, input_size
from voxnas.complexity.analytic import analyze
from voxnas.complexity.energy import measure_energy, nvml_counter, rapl_counter
from voxnas.complexity.measured import device_record, measure_latency, measure_step, training_step
from voxnas.complexity.memory import measure_peak_memory
from voxnas.core.architecture import Architecture
from voxnas.core.plan import Plan
from voxnas.core.settings import TrainingParameters
from voxnas.nn.build import build_network
from voxnas.nn.device import compute_device, synchronize
from voxnas.nn.linear import LinearModel
from voxnas.nn.precision import autocast

STEPS = 5  # number of timed training steps


def profile_network(
    architecture: Architecture, plan: Plan, training: TrainingParameters, repeats: int
) -> dict[str, Any]:
    """Measure the cost of a network on the plan's patch.

    Parameters
    ----------
    architecture : Architecture
    plan : Plan
        The study's plan.
    training : TrainingParameters
    repeats : int
        Timed forward passes.

    Returns
    -------
    dict
        Plain data: ``parameters``, ``macs`` and ``activations`` (for the linear baseline on its down-sampled voxels);
        ``latency`` of one patch (``median_ms``, ``iqr_ms``, ``repeats``); ``training_step`` of one batch (same
        fields; None for the linear baseline); ``inference_memory_mib`` and ``training_memory_mib`` (peak of one patch
        and of one batch; None if not measured); ``energy`` in joules (``inference`` of one patch, ``training`` of one
        sample; None without a counter); ``device``; ``patch``.
    """
    torch.set_num_threads(training.threads)
    size, batch = input_size(architecture, plan), training.batch_size
    one, several = input_shape(architecture, plan, 1), input_shape(architecture, plan, batch)
    memory: dict[str, float | None] = {"inference": None, "training": None}
    step = None
    if family_of(architecture).fitted:
        network: torch.nn.Module = LinearModel(architecture, size)
        precision = "float32"
    else:
        network, precision = build_network(architecture), training.precision
        for name, shape in (("inference", one), ("training", several)):
            peak = measure_peak_memory(architecture, shape, name == "training", training.threads, precision)
            memory[name] = None if peak is None else round(peak, 1)
        step = measure_step(network, several, STEPS, precision=precision)
    return {
        "schema_version": 1,
        "family": architecture.family,
        **analyze(architecture, size)._asdict(),
        "latency": measure_latency(network, one, repeats, precision=precision),
        "training_step": step,
        "inference_memory_mib": memory["inference"],
        "training_memory_mib": memory["training"],
        "energy": _energy(architecture, one, several, training, precision),
        "patch": list(size),
        "batch_size": batch,
        "device": device_record(training.threads, precision),
    }


def _energy(
    architecture: Architecture,
    one: tuple[int, ...],
    several: tuple[int, ...],
    training: TrainingParameters,
    precision: str,
) -> dict[str, float | None]:
    """Measure the energy of predicting one patch and of training on one sample, in joules, on the compute device."""
    device = compute_device()
    counter = nvml_counter() if device.type == "cuda" else rapl_counter()
    if counter is None or family_of(architecture).fitted:
        return {"inference": None, "training": None}
    network = build_network(architecture).to(device).eval()
    x = torch.zeros(one, device=device)

    def predict() -> None:
        with torch.inference_mode(), autocast(precision, device):
            network(x)
        synchronize(device)

    step = training_step(build_network(architecture), several, precision)

    def train() -> None:
        step()
        synchronize(device)

    used = measure_energy(train, counter)
    return {"inference": measure_energy(predict, counter), "training": None if used is None else used / several[0]}
