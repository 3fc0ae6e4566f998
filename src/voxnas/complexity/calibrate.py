"""Measures the networks from which :mod:`voxnas.complexity.calibration` predicts."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from scipy.optimize import nnls

from voxnas.complexity.analytic import analyze
from voxnas.complexity.calibration import FEATURES, features, identity
from voxnas.complexity.measured import device_record, measure_latency, measure_training
from voxnas.core.architecture import AnyArchitecture, Linear, Named
from voxnas.core.baselines import BASELINES, baselines_for, within
from voxnas.core.search_space import SearchSpace
from voxnas.core.seeds import derive_seed
from voxnas.nn.build import build_network
from voxnas.nn.device import compute_device
from voxnas.nn.precision import resolve_precision

NETWORKS = 12  # random networks of the space
CANDIDATES = 100  # drawn to choose them from
DEAREST = 0.6  # quantile of the activations up to which they are chosen
REPEATS = 3
SWAP_REPEATS = 10  # of networks that a study compares at equal time


def measure_calibration(
    space: Mapping[str, Any],
    plan: Mapping[str, Any],
    spec: Mapping[str, Any],
    limits: Mapping[str, Any] | None = None,
    seconds: float = 35.0,
) -> dict[str, Any]:
    """Time the baselines and random networks of a space, and fit the prediction.

    Parameters
    ----------
    space : mapping
        Search space as plain data.
    plan : mapping
        The study's plan.
    spec : mapping
        ``batch_size``, ``precision``, ``threads``, ``seed`` and ``swaps`` (baselines to time although they
        are no references) of the calibrate spec.
    limits : mapping or None
        Limits of the search; the random networks keep those on parameters and MACs.
    seconds : float
        No further network is begun after so long, once there are more than coefficients; swaps are all timed.

    Returns
    -------
    dict
        The record ``calibration.json``: ``table`` of measured networks by identity,
        ``coefficients``, ``error`` (median and largest relative error of each network predicted
        from the others), ``bf16`` (how many times faster than float32), ``device``.
    """
    torch.set_num_threads(spec["threads"])
    begun = time.monotonic()
    limits = limits or {}
    patch, shape = plan["patch"], (spec["batch_size"], plan["channels"], *plan["patch"])
    swaps = _named(spec["swaps"], plan, limits)
    chosen = swaps | _named(baselines_for(plan["task"]), plan, limits)
    least = len(FEATURES) + 2
    chosen |= _random(SearchSpace.from_dict(space), plan, limits, derive_seed(spec["seed"], "calibrate"))
    table: dict[str, dict[str, Any]] = {}
    rows: list[list[float]] = []
    for name, architecture in chosen.items():
        if identity(architecture) in table:
            continue
        if name not in swaps and len(rows) >= least and time.monotonic() - begun > seconds:
            break
        network = build_network(architecture)
        repeats = SWAP_REPEATS if name in swaps else REPEATS
        step = measure_training(network, shape, repeats, precision=spec["precision"])
        latency = measure_latency(network, (1, *shape[1:]), repeats, 1, spec["precision"])
        table[identity(architecture)] = {
            "name": name,
            "architecture": architecture.plain(),
            "train_seconds": step / spec["batch_size"],
            "latency_ms": latency["median_ms"],
            **analyze(architecture, patch)._asdict(),
        }
        facts = features(architecture, patch)
        rows.append([facts[feature] for feature in FEATURES])
    matrix = np.array(rows)
    coefficients, errors = {}, {}
    for what in ("train_seconds", "latency_ms"):
        times = np.array([row[what] for row in table.values()])
        coefficients[what] = dict(zip(FEATURES, map(float, _fit(matrix, times)), strict=True))
        error = _left_out_errors(matrix, times)
        errors[what] = {"median": float(np.median(error)), "largest": float(error.max())}
    first = next(iter(chosen.values()))
    return {
        "schema_version": 1,
        "patch": list(patch),
        "batch_size": spec["batch_size"],
        "table": table,
        "coefficients": coefficients,
        "error": errors,
        "bf16": _bf16(first, shape),
        "device": device_record(spec["threads"], spec["precision"]),
        "seconds": round(time.monotonic() - begun, 1),
    }


def _named(names: Iterable[str], plan: Mapping[str, Any], limits: Mapping[str, Any]) -> dict[str, AnyArchitecture]:
    """The baselines of these names that are of the searched families, the cheapest first."""
    built = {name: BASELINES[name](plan, limits)[0] for name in names}
    networks = {name: a for name, a in built.items() if not isinstance(a, Linear | Named)}
    return dict(sorted(networks.items(), key=lambda item: analyze(item[1], plan["patch"]).macs))


def _random(
    space: SearchSpace, plan: Mapping[str, Any], limits: Mapping[str, Any], seed: int
) -> dict[str, AnyArchitecture]:
    """Random networks within the limits: every block type in turn, from cheap to dear.

    Of each type the dearer networks, by activations, are left to the prediction: they would take
    most of the time.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, AnyArchitecture] = {}
    for _ in range(CANDIDATES):
        architecture, _ = space.decode(space.sample(rng), plan)
        if within(architecture, limits, plan["patch"]):
            found[identity(architecture)] = architecture
    by_block: dict[str, list[AnyArchitecture]] = {}
    for architecture in sorted(found.values(), key=lambda a: analyze(a, plan["patch"]).activations):
        by_block.setdefault(architecture.block, []).append(architecture)
    share = -(-NETWORKS // max(len(by_block), 1))
    spread = [
        [networks[int(place)] for place in np.linspace(0, DEAREST * (len(networks) - 1), min(share, len(networks)))]
        for _, networks in sorted(by_block.items())
    ]
    chosen = [a for turn in itertools.zip_longest(*spread) for a in turn if a is not None]
    return {f"random-{i}": architecture for i, architecture in enumerate(chosen)}


def _fit(matrix: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Non-negative coefficients with the least relative squared error."""
    scale = matrix.max(axis=0)
    scale[scale == 0] = 1
    solution, _ = nnls(matrix / scale / times[:, None], np.ones(len(times)))
    return solution / scale


def _left_out_errors(matrix: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Relative error of each network, predicted from all others."""
    errors = []
    for i in range(len(times)):
        others = np.arange(len(times)) != i
        errors.append(abs(matrix[i] @ _fit(matrix[others], times[others]) / times[i] - 1))
    return np.array(errors)


def _bf16(architecture: AnyArchitecture, shape: tuple[int, ...]) -> dict[str, Any]:
    """How many times as fast a training step is in bfloat16 as in float32."""
    network = build_network(architecture)
    seconds = {p: measure_training(network, shape, REPEATS, precision=p) for p in ("float32", "bf16")}
    return {
        "in_hardware": resolve_precision("auto", compute_device()) is not None,
        "train_speedup": round(seconds["float32"] / seconds["bf16"], 3),
    }
