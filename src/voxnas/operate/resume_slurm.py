"""What a killed Snakemake leaves behind in Slurm's queue, and whether it was killed at all.

Its jobs run on, and a second run would submit them once more. They are asked to end before that: a
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
    """Make sure that the run which holds the lock is over, as far as it can be told from this machine.

    Parameters
    ----------
    owner : Owner or None
        The last run in the working folder. One of this machine is looked for among the processes
        (:func:`voxnas.operate.resume.check_no_snakemake`).
    sure : bool
        The user knows that it is over.

    Raises
    ------
    UserError
        If it runs, or may run, elsewhere.
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
    """Find jobs in the queue that a Snakemake submitted from a working folder.

    Parameters
    ----------
    folder : Path
        Snakemake's working folder.
    owner : Owner or None
        The last run there.

    Raises
    ------
    UserError
        If the run used a cluster and Slurm does not answer; without that nobody knows what runs.
    """
    try:
        queue = slurm.jobs()
    except UserError:
        # Its jobs may run on, unless it ran none elsewhere, or on a cluster that is not Slurm's.
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
    """Whether an sbatch that outlived its Snakemake still talks to Slurm, as it does while the controller is away."""
    found = psutil.process_iter(["name", "cwd"])
    return any(p.info["name"] == "sbatch" and p.info["cwd"] == str(folder.resolve()) for p in found)


def end_jobs(folder: Path, owner: Owner | None, patience: float = END_SECONDS) -> None:
    """End all jobs of :func:`find_jobs`, and those that are being submitted, and wait until they have left the queue.

    Raises
    ------
    UserError
        If they do not leave it within `patience` (s).
    """
    deadline, asked = time.monotonic() + patience, set()
    while True:
        submitting = _submitting(folder)  # asked first: once it is over its job is in the queue
        jobs = find_jobs(folder, owner)
        if not jobs and not submitting:
            return
        slurm.cancel([job.id for job in jobs if job.id not in asked])
        asked |= {job.id for job in jobs}
        if time.monotonic() > deadline:
            what = f"jobs {', '.join(sorted(asked))} do" if jobs else "a submission (sbatch) does"
            raise UserError(f"{what} not end", "ask Slurm why: scontrol ping, scontrol show job")
        time.sleep(0.5)
