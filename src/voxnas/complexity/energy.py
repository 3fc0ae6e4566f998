"""Energy of a computation, measured by hardware counters: RAPL for processors, NVML for GPUs.

A counter includes all processes on the package or card, so nothing else should run during a measurement. Many machines
have no counter, or restrict it to the administrator; then the energy is None.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
SECONDS = 1.0  # duration of the repeated computation; the counters have a resolution of milliseconds
Counter = Callable[[], float]


def rapl_counter(folder: Path = POWERCAP) -> Counter | None:
    """Return a counter of the energy of all processor packages in joules; None if it cannot be read."""
    packages = sorted(p for p in folder.glob("intel-rapl:*") if p.name.count(":") == 1)
    try:
        ranges = [int((p / "max_energy_range_uj").read_text()) for p in packages]
        last = [int((p / "energy_uj").read_text()) for p in packages]
    except (OSError, ValueError):
        return None
    if not packages:
        return None
    used = [0] * len(packages)

    def read() -> float:
        for i, package in enumerate(packages):
            now = int((package / "energy_uj").read_text())
            used[i] += (now - last[i]) % (ranges[i] + 1)  # the counter wraps around
            last[i] = now
        return sum(used) / 1e6

    return read


def nvml_counter() -> Counter | None:
    """Return a counter of the energy of the first GPU in joules; None if it is not supported."""
    try:
        nvml = ctypes.CDLL("libnvidia-ml.so.1")
    except OSError:
        return None
    device, millijoules = ctypes.c_void_p(), ctypes.c_ulonglong()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(device)):
        return None
    if nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules)):
        return None

    def read() -> float:
        nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(millijoules))
        return millijoules.value / 1e3

    return read


def measure_energy(run: Callable[[], None], counter: Counter | None, seconds: float = SECONDS) -> float | None:
    """Measure the mean energy of a computation in joules, including the idle power; None without a counter.

    Parameters
    ----------
    run : callable
        The computation; it must return only after its completion.
    counter : callable or None
        From :func:`rapl_counter` or :func:`nvml_counter`.
    seconds : float
        Duration of the repetitions.
    """
    if counter is None:
        return None
    run()
    begun, before, count = time.perf_counter(), counter(), 0
    while time.perf_counter() - begun < seconds:
        run()
        count += 1
    return (counter() - before) / count
