"""What Slurm says of its jobs, and what it is asked to do with them.

Slurm's own commands are called; nothing here needs accounting, which is asked for what the controller has forgotten.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from dataclasses import dataclass

from voxnas.core.errors import UserError

# Of a job that will not run any more. PREEMPTED is one: a job that was put back into the queue is PENDING.
ENDED = {"BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED"}
ENDED |= {"REVOKED", "TIMEOUT"}
ANSWER_SECONDS = 30
PREFIX = "voxnas_"  # of the jobs' names, as the profiles have it


@dataclass(frozen=True)
class SlurmJob:
    """A job in the queue: its id, name, state, comment and working folder."""

    id: str
    name: str
    state: str
    comment: str
    folder: str

    @property
    def of_workflow(self) -> bool:
        """Whether a Snakemake submitted it: by the name that the profiles give, or the plugin's own comment."""
        return self.name.startswith(PREFIX) or self.comment.startswith("rule_")


def own_job() -> tuple[str, int] | None:
    """The job that this process runs in, and how often it was started again; None outside of Slurm."""
    number = os.environ.get("SLURM_JOB_ID", "")
    return (number, int(os.environ.get("SLURM_RESTART_COUNT") or 0)) if number else None


def is_here() -> bool:
    """Whether this machine has Slurm's commands."""
    return shutil.which("squeue") is not None


def jobs() -> list[SlurmJob]:
    """Jobs of this user that have not ended.

    Raises
    ------
    UserError
        If Slurm does not answer.
    """
    separator = "\x1f"
    text = _ask("squeue", "--me", "--noheader", "--format", separator.join(("%i", "%j", "%T", "%k", "%Z")))
    return [SlurmJob(*line.split(separator)) for line in text.splitlines()]


def state_of(job: str) -> str | None:
    """State of a job, such as RUNNING; empty: forgotten; None where Slurm does not answer, or is not there."""
    try:
        states = _ask("squeue", "--noheader", "--states=all", "--jobs", job, "--format", "%T").split()
    except UserError as error:
        if "Invalid job id" not in error.what:
            return None
        states = []
    if not states:  # the controller forgets a job after some minutes; the accounting, where there is one, does not
        with contextlib.suppress(UserError):
            states = _ask("sacct", "--noheader", "-X", "--parsable2", "--jobs", job, "--format", "State").split()
    return states[0] if states else ""


def has_ended(job: str) -> bool | None:
    """Whether a job is over; None where Slurm does not answer, or is not there."""
    state = state_of(job)
    return None if state is None else not state or state in ENDED


def cancel(numbers: list[str]) -> None:
    """End jobs: those that run get SIGTERM, on which a training saves its state.

    Raises
    ------
    UserError
        If Slurm does not answer.
    """
    if numbers:
        _ask("scancel", *numbers)


def requeue_own_job() -> bool:
    """Put the job that this process runs in back into the queue, which ends it here; whether Slurm did.

    Only a job of the workflow's own: that of a person who runs a whole Snakemake in one job is theirs to start again.
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
        raise UserError(f"{program} is not here", "run this where Slurm's commands are")
    try:
        done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"Slurm does not answer: {program} took more than {ANSWER_SECONDS} s", "try again") from None
    if done.returncode:
        raise UserError(f"Slurm does not answer: {program}: {done.stderr.strip() or done.stdout.strip()}", "try again")
    return done.stdout
