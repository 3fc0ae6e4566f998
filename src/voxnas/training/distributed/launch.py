"""From a launcher's name to the command that starts its processes, and to the backend inside them.

Imports neither torch nor Horovod: the parent of a training uses it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxnas.core.errors import UserError

if TYPE_CHECKING:
    from voxnas.training.distributed.base import Backend

LAUNCHERS = ("single", "horovod", "ddp")


def launch_command(launcher: str, processes: int, program: Sequence[str]) -> list[str]:
    """Command that runs ``python PROGRAM`` in the given number of processes on this host.

    Parameters
    ----------
    launcher : str
        One of :data:`LAUNCHERS`.
    processes : int
        How many.
    program : sequence of str
        ``-m MODULE ARGUMENTS`` or ``SCRIPT ARGUMENTS``.

    Raises
    ------
    UserError
        For an unknown launcher, or ``single`` with several processes.
    """
    python = sys.executable
    if launcher == "single":
        if processes != 1:
            raise UserError(f"launcher 'single' cannot start {processes} processes", "use horovod or ddp")
        return [python, *program]
    if launcher == "horovod":
        hosts = ["-np", str(processes), "-H", f"localhost:{processes}", "--gloo", "--cycle-time-ms", "0.1"]
        return [python, "-m", "horovod.runner.launch", *hosts, python, *program]
    if launcher == "ddp":
        run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        return [python, *run, *program]
    raise UserError(f"unknown launcher {launcher!r}", f"known: {', '.join(LAUNCHERS)}")


def join_backend(launcher: str) -> Backend:
    """The backend of this process, which the launcher has started."""
    if launcher == "horovod":
        from voxnas.training.distributed.horovod import HorovodBackend

        return HorovodBackend()
    if launcher == "ddp":
        from voxnas.training.distributed.ddp import DDPBackend

        return DDPBackend()
    from voxnas.training.distributed.single import SingleBackend

    return SingleBackend()
