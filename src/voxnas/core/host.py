"""The machine that the code runs on, and its processes."""

from __future__ import annotations

import platform
from pathlib import Path


def processor_name() -> str:
    """Name of the processor, as the system gives it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def process_identity(pid: int) -> dict[str, int]:
    """A process as its id and start time in clock ticks; 0 for a dead one, so that it equals no living one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie has ended; only its parent has not noticed.
        return {"pid": pid, "start": 0 if fields[0] == "Z" else int(fields[19])}
    except OSError:
        return {"pid": pid, "start": 0}


def boot_id() -> str:
    """What tells one start of the machine from another; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
