"""Measurement of one kind of node for placement: its calibration, and the overhead of wall time."""

import subprocess
import sys
import time
from collections.abc import Mapping
from typing import Any

from voxnas.arch.views import input_shape
from voxnas.complexity.calibrate import measure_calibration
from voxnas.complexity.measured import cpu_clock, measure_step
from voxnas.core.architecture import parse_architecture
from voxnas.core.calibration import DeviceCalibration
from voxnas.core.plan import Plan
from voxnas.core.settings import LimitSettings
from voxnas.core.spec import CalibrateSpec
from voxnas.nn.build import build_network
from voxnas.nn.device import compute_device

WALL_SECONDS = 8.0
START = "import torch, voxnas.nn.build, voxnas.nn.device as d; torch.zeros(1, device=d.compute_device())"


def measure_device(
    space: Mapping[str, Any], plan: Plan, spec: CalibrateSpec, limits: LimitSettings
) -> DeviceCalibration:
    """Measure this node as a representative of its kind.

    Parameters
    ----------
    space, plan, spec, limits
        See :func:`voxnas.complexity.calibrate.measure_calibration`.

    Returns
    -------
    DeviceCalibration
        Beside a GPU the calibration counts wall time already. On a processor it counts the processor's own time, which
        does not depend on whether the node is shared or throttled.
    """
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", START], check=True)
    start = time.perf_counter() - begun
    record = measure_calibration(space, plan, spec, limits)
    architecture = parse_architecture(next(iter(record.table.values())).architecture)
    network, shape = build_network(architecture), input_shape(architecture, plan, spec.batch_size)
    clock = cpu_clock(compute_device())
    begun, counted = time.perf_counter(), clock()
    while time.perf_counter() - begun < WALL_SECONDS:
        measure_step(network, shape, 1, precision=spec.precision)
    wall, counted = time.perf_counter() - begun, clock() - counted
    factor = max(1.0, wall / (counted / spec.threads if compute_device().type == "cpu" else counted))
    return DeviceCalibration(**dict(record), start_seconds=round(start, 3), wall_factor=round(factor, 4))
