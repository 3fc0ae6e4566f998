"""The consequences of every end of a worker: a result, an error, another start."""

import signal

import pytest
import torch

from voxnas.core.errors import UserError
from voxnas.training import failures
from voxnas.training.failures import Failed, Interrupted, Killed, NoResult, describe_error, failure_of


@pytest.mark.parametrize(
    ("error", "how"),
    [
        (MemoryError(), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory"),
        (RuntimeError("[gloo] Connection closed by peer"), "lost"),
        (ValueError("a bug"), "error"),
        (UserError("x = 1", "raise x"), "user"),
        (RuntimeError("'conv' not implemented for 'Half'"), "user"),
    ],
)
def test_errors_of_a_worker(error, how):
    record = describe_error(error)
    assert record["how"] == how
    assert ("text" in record) == (how != "user")


@pytest.mark.parametrize(
    ("how", "status", "group", "signalled", "kind"),
    [
        ("interrupted", 0, False, False, Interrupted),
        ("killed", -signal.SIGKILL, False, True, Interrupted),
        ("killed", -signal.SIGKILL, False, False, Killed),
        ("killed", 1, False, False, NoResult),  # it ended before it could write why
        ("killed", 1, True, False, Killed),
        ("lost", 1, True, False, Killed),
        ("memory", 1, False, False, Failed),
        ("error", 1, True, False, NoResult),
        ("user", 1, False, False, UserError),
    ],
)
def test_ends_of_workers(how, status, group, signalled, kind):
    end = {"how": how, "what": "x = 1", "remedy": "raise x"}
    assert type(failure_of(end, status, group, signalled)) is kind


def test_kills_are_an_error_while_another_job_may_have_more_memory():
    assert type(failures.killed_again_and_again(None)) is Failed
    assert [type(failures.killed_again_and_again(jobs)) for jobs in (1, 2, 3)] == [NoResult, NoResult, Failed]
    failures.check_starved(2)
    with pytest.raises(Failed, match="in each of 3 jobs"):
        failures.check_starved(3)


def test_divergence_is_a_result_of_a_search_and_an_error_of_a_network():
    assert failures.divergence("loss", 1.0, 4) is None
    reason = failures.divergence("loss", float("nan"), 4)
    assert reason == "diverged: the loss is nan after 4 samples"
    with pytest.raises(NoResult, match="diverged"):
        failures.check_final({"state": "FAILED", "reason": reason})
    failures.check_final({"state": "DONE"})
