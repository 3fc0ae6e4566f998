"""Energy of a computation by the counters of the machine: RAPL of the processor, NVML of a GPU.

A counter counts the whole package or card, whoever uses it, so it is read while nothing else runs. Many machines
have none, or only for their administrator; then there is no number.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from pathlib import Path

POWERCAP = Path("/sys/class/powercap")
SECONDS = 1.0  # how long a computation is repeated; the counters move in steps of milliseconds
Counter = Callable[[], float]


def rapl_counter(folder: Path = POWERCAP) -> Counter | None:
    """Joules that all processor packages have used since some time, or None where they cannot be read."""
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
            used[i] += (now - last[i]) % (ranges[i] + 1)  # the counter starts again at its end
            last[i] = now
        return sum(used) / 1e6

    return read


def nvml_counter() -> Counter | None:
    """Joules that the first GPU has used since its driver was loaded, or None where it does not say."""
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
    """Joules of one call of `run`, which is repeated for some time; None without a counter.

    What the machine uses when idle is part of it.

    Parameters
    ----------
    run : callable
        The computation; it ends when its result is there.
    counter : callable or None
        From :func:`rapl_counter` or :func:`nvml_counter`.
    seconds : float
        For how long it is repeated.
    """
    if counter is None:
        return None
    run()
    begun, before, count = time.perf_counter(), counter(), 0
    while time.perf_counter() - begun < seconds:
        run()
        count += 1
    return (counter() - before) / count
