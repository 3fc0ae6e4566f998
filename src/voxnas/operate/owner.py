"""Who runs Snakemake in a working folder, for its lock does not say.

The record ``.snakemake/voxnas.json`` is written when a run starts, and read by ``voxnas resume``.
"""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from voxnas.core.errors import UserError
from voxnas.core.host import boot_id, process_identity
from voxnas.io.records import read_json, write_json


@dataclass(frozen=True)
class Owner:
    """A run of Snakemake.

    Parameters
    ----------
    study : str
        What it works on.
    executor : str
        Where its jobs go: ``local``, ``slurm``, ``cluster-generic``.
    profile : tuple of str
        Profiles of its command line, in their order.
    host, boot : str
        Machine, and when it was started.
    process : dict
        Number of the process, and when it began.
    slurm_job : str
        The Slurm job that it runs in itself; empty for none.
    """

    study: str
    executor: str
    profile: tuple[str, ...]
    host: str
    boot: str
    process: dict[str, int]
    slurm_job: str = ""


def _file(folder: Path) -> Path:
    return folder / ".snakemake" / "voxnas.json"


def profiles_of(arguments: list[str]) -> tuple[str, ...]:
    """Profiles that a command line of Snakemake names.

    Examples
    --------
    >>> profiles_of(["--cores", "2", "--profile", "slurm", "--profile=mine"])
    ('slurm', 'mine')
    """
    found = []
    for argument, following in zip(arguments, [*arguments[1:], ""], strict=False):
        if argument == "--profile":
            found.append(following)
        elif argument.startswith("--profile="):
            found.append(argument.partition("=")[2])
    return tuple(name for name in found if name)


def write_owner(folder: Path, study: str, executor: str) -> None:
    """Record that this process runs a study in a working folder."""
    # The plugin takes Slurm's variables away when Snakemake runs in a job; they are still in the process's own record.
    owner = Owner(
        study, executor, profiles_of(sys.argv[1:]), socket.gethostname(), boot_id(), process_identity(os.getpid()),
        _initial("SLURM_JOB_ID"),
    )  # fmt: skip
    write_json(_file(folder), asdict(owner))


def read_owner(folder: Path) -> Owner | None:
    """The last run that was recorded in a working folder; None if none was, or if its record is torn."""
    try:
        record: dict[str, Any] = read_json(_file(folder))
        return Owner(**{**record, "profile": tuple(record["profile"])})
    except (UserError, OSError, TypeError, KeyError):
        return None


def _initial(variable: str) -> str:
    """A variable as this process was started with (Linux), or as it is now."""
    try:
        pairs = Path("/proc/self/environ").read_text(errors="replace").split("\0")
    except OSError:
        return os.environ.get(variable, "")
    return next((p.partition("=")[2] for p in pairs if p.startswith(f"{variable}=")), "")
