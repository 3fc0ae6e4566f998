"""Recovery from a killed Snakemake on Slurm: whether it has ended, and its jobs in the queue.

The jobs of a killed Snakemake run on, and a second run would submit them again. Therefore they are ended first; a
training saves its state and is continued.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path

import psutil

from voxnas.core.errors import UserError
from voxnas.io import slurm
from voxnas.operate.owner import Owner

END_SECONDS = 600.0


def check_owner_ended(owner: Owner | None, sure: bool) -> None:
    """Check that the run which holds the lock has ended, as far as this machine can tell.

    Parameters
    ----------
    owner : Owner or None
        The last run in the working folder. A run on this machine is sought among the processes
        (:func:`voxnas.operate.resume.check_no_snakemake`).
    sure : bool
        Whether the user has confirmed that the run has ended.

    Raises
    ------
    UserError
        If the run continues, or may continue, on another machine.
    """
    if owner is None or sure or owner.host == socket.gethostname():
        return
    if owner.slurm_job:
        if slurm.has_ended(owner.slurm_job):
            return
        raise UserError(f"Snakemake runs in job {owner.slurm_job} on {owner.host}", f"scancel {owner.slurm_job}")
    raise UserError(
        f"Snakemake was started on {owner.host} (process {owner.process['pid']}) and may still run there",
        "resume there; if you know that it has ended, add --ended",
    )


def find_jobs(folder: Path, owner: Owner | None) -> list[slurm.SlurmJob]:
    """Find the jobs in Slurm's queue that Snakemake submitted from a working folder.

    Parameters
    ----------
    folder : Path
        Snakemake's working folder.
    owner : Owner or None
        The last run in the folder.

    Raises
    ------
    UserError
        If the run used a cluster and Slurm does not answer, so that its jobs are unknown.
    """
    try:
        queue = slurm.jobs()
    except UserError:
        # The jobs of the run may continue, unless all ran on this machine or on a cluster without Slurm.
        if owner is not None and owner.executor != "local" and (slurm.is_here() or owner.executor == "slurm"):
            raise
        return []
    own = slurm.own_job()
    return [
        job
        for job in queue
        if job.of_workflow and Path(job.folder) == folder.resolve() and (own is None or job.id != own[0])
    ]


def _submitting(folder: Path) -> bool:
    """Whether an sbatch that outlived its Snakemake still waits for Slurm's controller."""
    found = psutil.process_iter(["name", "cwd"])
    return any(p.info["name"] == "sbatch" and p.info["cwd"] == str(folder.resolve()) for p in found)


def end_jobs(folder: Path, owner: Owner | None, patience: float = END_SECONDS) -> None:
    """End all jobs of :func:`find_jobs` and those being submitted, and wait until they have left the queue.

    Raises
    ------
    UserError
        If a job is still in the queue after `patience` seconds.
    """
    deadline, asked = time.monotonic() + patience, set()
    while True:
        submitting = _submitting(folder)  # checked first: a completed submission has its job in the queue
        jobs = find_jobs(folder, owner)
        if not jobs and not submitting:
            return
        slurm.cancel([job.id for job in jobs if job.id not in asked])
        asked |= {job.id for job in jobs}
        if time.monotonic() > deadline:
            subject = f"jobs {', '.join(sorted(asked))} do" if jobs else "a submission (sbatch) does"
            raise UserError(f"{subject} not end", "ask Slurm why: scontrol ping, scontrol show job")
        time.sleep(0.5)
