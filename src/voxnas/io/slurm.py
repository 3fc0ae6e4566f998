"""Queries and control of Slurm jobs through the commands of Slurm.

Accounting is optional; it is queried for jobs that the controller has forgotten.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass

from voxnas.core.errors import UserError

# Final states of a job. PREEMPTED is final, since a requeued job is PENDING.
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}
ENDED |= {"REVOKED", "TIMEOUT"}
ANSWER_SECONDS = 30
PREFIX = "voxnas_"  # of the names of jobs, set by the profiles


@dataclass(frozen=True)
class SlurmJob:
    """A job in the queue."""

    id: str
    name: str
    state: str
    comment: str
    folder: str

    @property
    def of_workflow(self) -> bool:
        """Whether Snakemake submitted the job: by the name set in the profiles, or the comment of the plugin."""
        return self.name.startswith(PREFIX) or self.comment.startswith("rule_")


def own_job() -> tuple[str, int] | None:
    """Identifier and restart count of the job of this process; None outside Slurm."""
    number = os.environ.get("SLURM_JOB_ID", "")
    return (number, int(os.environ.get("SLURM_RESTART_COUNT") or 0)) if number else None


def is_here() -> bool:
    """Whether the commands of Slurm are installed on this machine."""
    return shutil.which("squeue") is not None


def jobs() -> list[SlurmJob]:
    """List the jobs of this user that have not ended.

    Raises
    ------
    UserError
        If Slurm does not answer.
    """
    separator = "\x1f"
    text = _ask("squeue", "--me", "--noheader", "--format", separator.join(("%i", "%j", "%T", "%k", "%Z")))
    return [SlurmJob(*line.split(separator)) for line in text.splitlines()]


def state_of(job: str) -> str | None:
    """State of a job, such as RUNNING; empty if Slurm has forgotten it; None if Slurm is missing or does not answer."""
    try:
        states = _ask("squeue", "--noheader", "--states=all", "--jobs", job, "--format", "%T").split()
    except UserError as error:
        if "Invalid job id" not in error.what:
            return None
        states = []
    if not states:  # the controller forgets a job after some minutes, the accounting (if any) does not
        with contextlib.suppress(UserError):
            states = _ask("sacct", "--noheader", "-X", "--parsable2", "--jobs", job, "--format", "State").split()
    return states[0] if states else ""


def has_ended(job: str) -> bool | None:
    """Whether a job has ended; None if Slurm is missing or does not answer."""
    state = state_of(job)
    return None if state is None else not state or state in ENDED


def cancel(numbers: list[str]) -> None:
    """Cancel jobs; running jobs receive SIGTERM, on which a training saves its state.

    Raises
    ------
    UserError
        If Slurm does not answer.
    """
    if numbers:
        _ask("scancel", *numbers)


def requeue_own_job() -> bool:
    """Requeue the job of this process, which ends it here; returns whether Slurm did so.

    Only jobs submitted by the workflow are requeued, not a job in which the user runs Snakemake as a whole.
    """
    own = own_job()
    if own is None:
        return False
    try:
        if not any(job.id == own[0] and job.of_workflow for job in jobs()):
            return False
        _ask("scontrol", "requeue", own[0])
    except UserError:
        return False
    return True


def _ask(program: str, *arguments: str) -> str:
    if shutil.which(program) is None:
        raise UserError(
            f"{program} is not installed on this machine", "run this command on a machine with the commands of Slurm"
        )
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"Slurm does not answer: {program} took more than {ANSWER_SECONDS} s", "try again") from None
    if done.returncode:
        raise UserError(f"Slurm does not answer: {program}: {done.stderr.strip() or done.stdout.strip()}", "try again")
    return done.stdout
