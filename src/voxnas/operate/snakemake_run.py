"""A run of Snakemake as a quiet child process, whose output goes to a file."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SHOWN_LINES = 5


class SnakemakeRun:
    """A running Snakemake.

    Snakemake and its jobs are a process group of their own, so that an interruption reaches each of them once.

    Parameters
    ----------
    command : sequence of str
        The command line of Snakemake.
    log : path
        File that receives its output.
    """

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self.log, self.began = log, time.time()
        self.received: list[int] = []
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "w") as file:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, process_group=0
            )

    def wait(self, seconds: float) -> int | None:
        """Return the exit status; None if Snakemake still runs after `seconds`."""
        with suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def interrupt(self, number: int, frame: FrameType | None = None) -> None:
        """Interrupt Snakemake and its jobs as Ctrl-C does; trainings save their state. A signal handler."""
        self.received.append(number)
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGINT)

    def last_lines(self) -> list[str]:
        """Return the last lines of the output."""
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        return lines[-SHOWN_LINES:]

    def refusal(self) -> str:
        """Return the message with which the Snakefile or Snakemake refused bad input; empty without one."""
        found = re.findall(r"^(?:voxnas|\S+: error): (.*)$", self.log.read_text(errors="replace"), re.MULTILINE)
        return found[0] if found else ""


@contextmanager
def running_snakemake(command: Sequence[str], log: Path) -> Iterator[SnakemakeRun]:
    """Start Snakemake; signals that would end this process interrupt Snakemake instead, which ends first."""
    received: list[int] = []
    # A handler from the first moment, also so that Snakemake does not inherit an ignored SIGINT.
    before = {number: signal.signal(number, lambda got, _: received.append(got)) for number in SIGNALS}
    try:
        run = SnakemakeRun(command, log)
        for number in SIGNALS:
            signal.signal(number, run.interrupt)
        for early in received:
            run.interrupt(early)
        yield run
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
