"""The local machine and its processes."""

import os
import platform
from pathlib import Path


def processor_name() -> str:
    """Name of the processor, as reported by the operating system."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def processors() -> int:
    """Number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def process_identity(pid: int) -> dict[str, int]:
    """Id and start time (in clock ticks) of a process; the start time of an ended process is 0."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        # A zombie is an ended process that its parent has not reaped.
        return {"pid": pid, "start": 0 if fields[0] == "Z" else int(fields[19])}
    except OSError:
        return {"pid": pid, "start": 0}


def boot_id() -> str:
    """Identifier of the current boot of the machine; empty if the system provides none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
