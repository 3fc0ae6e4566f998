"""The command that starts the processes of a launcher, and the backend within these processes.

Imports neither torch nor Horovod, because the parent process uses it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from voxnas.core.errors import UserError
from voxnas.training.distributed.exchange import Exchange
from voxnas.training.distributed.slurm import find_place
from voxnas.training.run_options import LAUNCHERS

if TYPE_CHECKING:
    from voxnas.training.distributed.base import Backend

CONTROLLERS = ("gloo", "mpi")  # of Horovod


def horovod_controller() -> str:
    """Return the controller of Horovod's processes: its variable ``HOROVOD_CONTROLLER``, by default gloo.

    Raises
    ------
    UserError
        If the variable is neither gloo nor mpi.
    """
    controller = os.environ.get("HOROVOD_CONTROLLER", "gloo")
    if controller not in CONTROLLERS:
        raise UserError(
            f"HOROVOD_CONTROLLER = {controller!r} is unknown", f"set it to one of {', '.join(CONTROLLERS)}, or unset it"
        )
    return controller


def launch_command(
    launcher: str, processes: int, program: Sequence[str], nodes: int = 1, threads: int = 1
) -> list[str]:
    """Return the command that runs ``python PROGRAM`` in the given number of processes.

    On one node horovodrun or torchrun starts the processes. On several nodes of the Slurm allocation in which the
    command runs, srun starts the processes without ssh.

    Parameters
    ----------
    launcher : str
        One of :data:`voxnas.training.run_options.LAUNCHERS`.
    processes : int
        Number of processes on all nodes together.
    program : sequence of str
        ``-m MODULE ARGUMENTS`` or ``SCRIPT ARGUMENTS``.
    nodes : int
        Number of nodes.
    threads : int
        Threads and cores of each process (several nodes only).

    Raises
    ------
    UserError
        For an unknown launcher, ``single`` with several processes, or several nodes without srun or with fewer
        processes than nodes.
    """
    python = sys.executable
    if launcher not in LAUNCHERS:
        raise UserError(f"unknown launcher {launcher!r}", f"known: {', '.join(LAUNCHERS)}")
    if launcher == "single":
        if (processes, nodes) != (1, 1):
            raise UserError(
                f"launcher 'single' cannot start {processes} processes on {nodes} node{'s' if nodes > 1 else ''}",
                "use horovod or ddp",
            )
        return [python, *program]
    mpi = launcher == "horovod" and horovod_controller() == "mpi"
    if nodes > 1:
        # gloo connects by TCP and ignores the MPI type of the cluster; MPI uses that type.
        return [*_srun(processes, nodes, threads), *([] if mpi else ["--mpi=none"]), python, *program]
    if launcher == "horovod":
        hosts = ["-np", str(processes), "-H", f"localhost:{processes}", "--mpi" if mpi else "--gloo"]
        return [python, "-m", "horovod.runner.launch", *hosts, python, *program]
    run = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [python, *run, *program]


def _srun(processes: int, nodes: int, threads: int) -> list[str]:
    if processes < nodes:
        raise UserError(f"{processes} processes cannot use {nodes} nodes", "raise processes or lower nodes")
    if shutil.which("srun") is None:
        raise UserError(f"nodes = {nodes} needs srun, which is not in PATH", "use one node, or run under Slurm")
    sizes = [f"--nodes={nodes}", f"--ntasks={processes}", f"--cpus-per-task={threads}"]
    # Without --overlap this step would wait for ever for a step that holds all cores of its node.
    return ["srun", *sizes, "--distribution=block", "--overlap", "--kill-on-bad-exit=1", "--unbuffered"]


def join_backend(launcher: str, exchange: Exchange | None = None, nodes: int = 1) -> Backend:
    """Return the backend of this process, which the command of :func:`launch_command` has started.

    Parameters
    ----------
    launcher : str
        One of :data:`voxnas.training.run_options.LAUNCHERS`.
    exchange : Exchange or None
        Compression and fusion of gradients; None for the defaults.
    nodes : int
        Number of nodes of the launch.
    """
    exchange = exchange or Exchange()
    place = find_place(os.environ) if nodes > 1 else None
    backend: Backend
    if launcher == "horovod":
        from voxnas.training.distributed.horovod import HorovodBackend

        backend = HorovodBackend(exchange, place, horovod_controller())
    elif launcher == "ddp":
        from voxnas.training.distributed.ddp import DDPBackend

        if place is not None:
            os.environ.update(place.torch_environment())
        backend = DDPBackend(exchange)
    else:
        from voxnas.training.distributed.single import SingleBackend

        backend = SingleBackend()
    if place is not None:
        backend.hosts = [host for host, _ in place.hosts]
    return backend
