"""Measurement of the networks and nodes from which :mod:`voxnas.complexity.calibration` predicts."""

import itertools
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from voxnas.arch.baselines import BASELINES, baselines_for, within_limits
from voxnas.arch.families import family_of
from voxnas.arch.search_space import SearchSpace
from voxnas.arch.views import input_shape, input_size
from voxnas.complexity.analytic import analyze
from voxnas.complexity.blocks import time_nodes
from voxnas.complexity.calibration import identity
from voxnas.complexity.features import features, node_features
from voxnas.complexity.fit import fit_times, left_out_errors
from voxnas.complexity.measured import cpu_clock, device_record, measure_latency, measure_step
from voxnas.complexity.memory import measure_peaks, memory_request
from voxnas.complexity.memory_model import training_mib
from voxnas.core.architecture import Architecture
from voxnas.core.calibration import (
    Calibration,
    HalfPrecision,
    MeasuredNetwork,
    MemoryCorrection,
    MemoryPeak,
    RelativeError,
    RelativeErrors,
    TimeModels,
)
from voxnas.core.plan import Plan
from voxnas.core.seeds import derive_seed
from voxnas.core.settings import LimitSettings
from voxnas.core.spec import CalibrateSpec
from voxnas.nn.build import build_network
from voxnas.nn.device import compute_device
from voxnas.nn.precision import resolve_precision

NETWORKS = 12  # random networks of the space
CANDIDATES = 100  # networks drawn, of which NETWORKS are chosen
DEAREST = 0.6  # maximum quantile of the activations of the chosen networks
REPEATS = 3
SWAP_REPEATS = 10  # repeats for networks that a study compares at equal time
LEAST = 4  # networks timed independently of the time limit
SECONDS, LATENCY_SECONDS = 35.0, 180.0  # without and with a limit on the latency, which requires higher accuracy
NODE_SHARE = 0.4  # fraction of the time for single nodes
MEMORY_NETWORKS = 4


def measure_calibration(
    space: Mapping[str, Any],
    plan: Plan,
    spec: CalibrateSpec,
    limits: LimitSettings,
    seconds: float | None = None,
) -> Calibration:
    """Time the baselines, random networks of a space and their nodes, and fit the prediction.

    Parameters
    ----------
    space : mapping
        Search space as plain data.
    plan : Plan
        The study's plan.
    spec : CalibrateSpec
    limits : LimitSettings
        Limits of the search; the random networks keep those on parameters and MACs. With one on the
        latency more is timed; with one on the memory a few peaks are measured too.
    seconds : float or None
        Processor time after which no further network or node is begun, but for the swaps and the first few; None: 35,
        or 180 where the latency is limited.

    Returns
    -------
    Calibration
        Without the times of updates and of the process (:func:`voxnas.training.overheads.add_overheads`).
    """
    torch.set_num_threads(spec.threads)
    begun, clock = time.monotonic(), cpu_clock(compute_device())
    started = clock()
    if seconds is None:
        seconds = SECONDS if limits.latency_ms is None else LATENCY_SECONDS
    batch = spec.batch_size
    swaps = _named(spec.swaps, plan, limits)
    references = baselines_for(plan.task, tuple(plan.views) or ("",), plan.unit)
    chosen = swaps | _named(references, plan, limits)
    candidates = _candidates(SearchSpace.from_dict(space), plan, limits, derive_seed(spec.seed, "calibrate"))
    chosen |= _spread(candidates)
    sized = [(architecture, input_size(architecture, plan)) for architecture in candidates]
    nodes = list(time_nodes(sized, batch, spec.precision, NODE_SHARE * seconds))
    table: dict[str, MeasuredNetwork] = {}
    timed: list[Architecture] = []
    for name, architecture in chosen.items():
        if identity(architecture) in table:
            continue
        if name not in swaps and len(timed) >= LEAST and clock() - started > seconds:
            break
        network = build_network(architecture)
        repeats = SWAP_REPEATS if name in swaps else REPEATS
        shape, size = input_shape(architecture, plan, batch), input_size(architecture, plan)
        step = measure_step(network, shape, repeats, precision=spec.precision, update=False)
        latency = measure_latency(network, (1, *shape[1:]), repeats, 1, spec.precision)
        table[identity(architecture)] = MeasuredNetwork(
            name=name,
            architecture=architecture.plain(),
            patch=size,
            train_seconds=step["median_ms"] / 1e3 / batch,
            latency_ms=latency["median_ms"],
            **analyze(architecture, size)._asdict(),
        )
        timed.append(architecture)
    models, errors = {}, {}
    of_nodes = [{node.shaped.node.op: node_features(node.shaped)} for node in nodes]
    for what in ("train_seconds", "latency_ms"):
        of_networks = [features(a, input_size(a, plan), what == "train_seconds") for a in timed]
        data = (
            of_networks,
            [getattr(row, what) for row in table.values()],
            of_nodes,
            [getattr(node, what) for node in nodes],
        )
        models[what] = fit_times(*data)
        error = left_out_errors(*data)
        errors[what] = RelativeError(median=float(np.median(error)), largest=float(error.max()))
    first = next(iter(chosen.values()))
    return Calibration(
        batch_size=batch,
        validations=spec.validations,
        table=table,
        model=TimeModels(**models),
        nodes=len(nodes),
        error=RelativeErrors(**errors),
        memory=_memory(timed if limits.memory_mib is not None else [], plan, spec),
        bf16=_bf16(first, input_shape(first, plan, batch)),
        device=device_record(spec.threads, spec.precision),
        seconds=round(time.monotonic() - begun, 1),
    )


def _named(names: Iterable[str], plan: Plan, limits: LimitSettings) -> dict[str, Architecture]:
    """Build the named baselines that belong to searched families, the cheapest first."""
    built = {name: BASELINES[name](plan, limits)[0] for name in names if not BASELINES[name].fitted}
    networks = {name: a for name, a in built.items() if family_of(a).spaces}
    return dict(sorted(networks.items(), key=lambda item: analyze(item[1], input_size(item[1], plan)).macs))


def _candidates(space: SearchSpace, plan: Plan, limits: LimitSettings, seed: int) -> list[Architecture]:
    """Draw random networks within the limits, in the order of their activations."""
    rng = np.random.default_rng(seed)
    found: dict[str, Architecture] = {}
    for _ in range(CANDIDATES):
        architecture, _ = space.decode(space.sample(rng), plan)
        if within_limits(architecture, limits, input_size(architecture, plan)):
            found[identity(architecture)] = architecture
    return sorted(found.values(), key=lambda a: analyze(a, input_size(a, plan)).activations)


def _spread(candidates: Sequence[Architecture]) -> dict[str, Architecture]:
    """Choose candidates of every kind of block in turn, from cheap to expensive.

    The most expensive networks of each kind would take most of the time and are left to the prediction.
    """
    by_block: dict[str, list[Architecture]] = {}
    for architecture in candidates:
        by_block.setdefault(str(getattr(architecture, "block", "")), []).append(architecture)
    share = -(-NETWORKS // max(len(by_block), 1))
    spread = [
        [networks[int(place)] for place in np.linspace(0, DEAREST * (len(networks) - 1), min(share, len(networks)))]
        for _, networks in sorted(by_block.items())
    ]
    chosen = [a for turn in itertools.zip_longest(*spread) for a in turn if a is not None]
    return {f"random-{i}": architecture for i, architecture in enumerate(chosen)}


def _memory(networks: Sequence[Architecture], plan: Plan, spec: CalibrateSpec) -> MemoryCorrection:
    """Measure the factor of the memory model on this device: the maximum over the networks with the highest memory.

    The factor includes freed memory retained by the allocator, which varies; the maximum makes limits safe.
    """
    device, batch = compute_device(), spec.batch_size
    bf16, cuda = resolve_precision(spec.precision, device) is not None, device.type == "cuda"
    pairs = ((training_mib(a, input_size(a, plan), batch, bf16, cuda), a) for a in networks)
    asked = sorted(pairs, key=lambda pair: pair[0])[-MEMORY_NETWORKS:]
    shapes = [input_shape(a, plan, batch) for _, a in asked]
    requests = [
        memory_request(a, shape, True, spec.threads, spec.precision)
        for (_, a), shape in zip(asked, shapes, strict=True)
    ]
    rows = [
        MemoryPeak(predicted_mib=mib, measured_mib=answer["mib"])
        for (mib, _), answer in zip(asked, measure_peaks(requests, held=True) if requests else [], strict=True)
        if answer.get("mib")
    ]
    factor = max((row.measured_mib / row.predicted_mib for row in rows), default=1.0)
    return MemoryCorrection(cuda=cuda, bf16=bf16, factor=factor, table=tuple(rows))


def _bf16(architecture: Architecture, shape: tuple[int, ...]) -> HalfPrecision:
    """Measure the speed-up of a training step by bfloat16."""
    network = build_network(architecture)
    times = {p: measure_step(network, shape, REPEATS, precision=p)["median_ms"] for p in ("float32", "bf16")}
    return HalfPrecision(
        in_hardware=resolve_precision("auto", compute_device()) is torch.bfloat16,
        train_speedup=round(times["float32"] / times["bf16"], 3),
    )
