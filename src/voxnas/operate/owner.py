"""The owner of a working folder: which run of Snakemake works there, since Snakemake's lock does not tell.

The record ``.snakemake/voxnas.json`` is written at the start of a run and read by ``voxnas resume``.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from voxnas.core.errors import UserError
from voxnas.core.host import boot_id, process_identity
from voxnas.io.records import read_json, write_json


@dataclass(frozen=True)
class Owner:
    """A run of Snakemake.

    Parameters
    ----------
    study : str
        Name of the study.
    executor : str
        Executor of the jobs: ``local``, ``slurm``, ``cluster-generic``.
    profile : tuple of str
        Profiles of the command line, in their order.
    host, boot : str
        Machine, and identifier of its boot.
    process : dict
        Process id and start time.
    slurm_job : str
        Slurm job in which Snakemake itself runs; empty outside of Slurm.
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
    """Return the profiles in a command line of Snakemake.

    Examples
    --------
    >>> profiles_of(["--cores", "2", "--profile", "slurm", "--profile=mine"])
    ('slurm', 'mine')
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--profile", action="append", nargs="?", default=[])
    return tuple(filter(None, parser.parse_known_args(arguments)[0].profile))


def write_owner(folder: Path, study: str, executor: str) -> None:
    """Record that this process runs a study in a working folder."""
    # The Slurm plugin deletes Slurm's variables from os.environ; the initial environment of the process keeps them.
    slurm_job = psutil.Process().environ().get("SLURM_JOB_ID", "")
    profiles, identity = profiles_of(sys.argv[1:]), process_identity(os.getpid())
    owner = Owner(study, executor, profiles, socket.gethostname(), boot_id(), identity, slurm_job)
    write_json(_file(folder), asdict(owner))


def read_owner(folder: Path) -> Owner | None:
    """Return the last run recorded in a working folder; None without a record or with a damaged record."""
    try:
        record: dict[str, Any] = read_json(_file(folder))
        return Owner(**{**record, "profile": tuple(record["profile"])})
    except (UserError, OSError, TypeError, KeyError):
        return None
