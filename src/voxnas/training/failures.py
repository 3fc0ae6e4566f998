"""Consequences of a training that ended early: a result, an error, or another start. Imports no torch.

A training that fails for a reason of its own (divergence, memory) raises :class:`Failed`. In a search this is a result
with the state FAILED, from which the proposer learns; for a network at full budget it is an error. Any other early end
leaves no result.
"""

import math
import signal
import traceback
from typing import Any

from voxnas.core.errors import TRY_AGAIN, UserError

# Number of kills after which the behaviour of a worker, most likely its memory, is taken as their cause. The same limit
# holds for Slurm jobs that are killed for their memory, each of which has more memory than the one before.
KILLS = 3


class NoResult(Exception):
    """A training ended without a result; `status` is the exit status of the command."""

    status = 1


class Interrupted(NoResult):
    """The training saved its state and has to be started again."""

    status = TRY_AGAIN


class Killed(Exception):
    """A worker was killed from outside; the training continues from its last state."""


class Failed(Exception):
    """A training failed for a reason of its own."""


def divergence(quantity: str, value: float, samples: int) -> str | None:
    """Return the reason of a failure if the `value` of a `quantity` after some `samples` is not finite, else None."""
    return None if math.isfinite(value) else f"diverged: the {quantity} is {value} after {samples} samples"


def describe_error(error: BaseException) -> dict[str, Any]:
    """Compose the record ``ended.json`` of a worker that ends by an `error`.

    Returns
    -------
    dict
        ``how``: ``user`` (with `what` and `remedy`), ``memory``, ``lost`` (another process of the group has ended)
        or ``error``, the last three with the traceback as `text`.
    """
    text = str(error)
    if "not implemented for 'Half'" in text:
        error = UserError(f"training.precision = 'fp16' is not supported here ({text})", "use bf16 or float32")
    if isinstance(error, UserError):
        return {"how": "user", "what": error.what, "remedy": error.remedy, "facts": {}}
    gone = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")
    kind, how = type(error).__name__, "error"
    if isinstance(error, MemoryError) or kind == "OutOfMemoryError" or "can't allocate memory" in text:
        how = "memory"
    elif kind == "HorovodInternalError" or any(words in text for words in gone):
        how = "lost"
    return {"how": how, "text": "".join(traceback.format_exception(error)), "facts": {}}


def failure_of(end: dict[str, Any], status: int, group: bool, signalled: bool) -> Exception:
    """Return the consequence of workers that ended without an outcome.

    Parameters
    ----------
    end : dict
        The record ``ended.json``; ``how`` is ``killed`` without such a record.
    status : int
        Exit status of the worker, or of its launcher.
    group : bool
        Whether a launcher started several processes.
    signalled : bool
        Whether the parent was asked to leave.
    """
    how = end["how"]
    if how == "interrupted" or (signalled and how == "killed"):
        return Interrupted()
    if how == "user":
        return UserError(end["what"], end["remedy"])
    if how == "memory":
        return Failed("out of memory")
    # Under a launcher only the messages or the silence of the other processes reveal a killed one.
    if how == "lost" or (how == "killed" and (group or status == -signal.SIGKILL)):
        return Killed()
    return NoResult(f"the training process ended with status {status}")  # the log has its traceback


def check_starved(jobs: int) -> None:
    """Raise :class:`Failed` if the number of Slurm `jobs` that ran out of memory has reached :data:`KILLS`."""
    if jobs >= KILLS:
        raise Failed(f"out of memory in each of {KILLS} jobs")


def killed_again_and_again(jobs: int | None) -> NoResult | Failed:
    """Return the consequence of workers that were killed :data:`KILLS` times in one job.

    Parameters
    ----------
    jobs : int or None
        Number of such Slurm jobs, including this one; None outside Slurm.
    """
    if jobs is not None and jobs < KILLS:  # the next attempt of this job has more memory
        return NoResult("the training process was killed repeatedly, probably out of memory")
    return Failed("killed, probably out of memory")


def check_final(outcome: dict[str, Any]) -> None:
    """Raise :class:`NoResult` if the `outcome` of a training at full budget is a failure."""
    if outcome["state"] == "FAILED":
        raise NoResult(outcome["reason"])
