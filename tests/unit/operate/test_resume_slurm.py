"""Without a Slurm; what it does with one is in tests/slurm."""

import shutil
import socket
import subprocess
import time

import pytest

from voxnas.core.errors import UserError
from voxnas.operate.owner import Owner
from voxnas.operate.resume_slurm import check_owner_ended, end_jobs, find_jobs


@pytest.fixture(autouse=True)
def no_slurm(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)


def owner(**changes):
    fields = {"study": "a", "executor": "local", "profile": (), "host": "login2", "boot": "b", "process": {"pid": 7}}
    return Owner(**{**fields, **changes})


def test_a_run_of_this_machine_is_looked_for_elsewhere():
    check_owner_ended(None, sure=False)
    check_owner_ended(owner(host=socket.gethostname()), sure=False)


def test_a_run_of_another_machine_may_live():
    with pytest.raises(UserError, match=r"started on login2 \(process 7\) and may still run there.*--ended"):
        check_owner_ended(owner(), sure=False)
    check_owner_ended(owner(), sure=True)


def test_a_run_in_a_job_is_over_when_slurm_says_so():
    with pytest.raises(UserError, match="Snakemake runs in job 17 on login2"):
        check_owner_ended(owner(slurm_job="17"), sure=False)


def test_without_slurm_there_are_jobs_only_for_a_run_that_used_it(tmp_path):
    assert find_jobs(tmp_path, None) == []
    assert find_jobs(tmp_path, owner()) == []
    with pytest.raises(UserError, match="squeue is not installed"):
        find_jobs(tmp_path, owner(executor="slurm"))
    assert find_jobs(tmp_path, owner(executor="cluster-generic")) == [], "another kind of cluster"


@pytest.mark.parametrize("executor", ["slurm", "cluster-generic"])
def test_where_slurm_does_not_answer_nobody_knows_what_runs(tmp_path, executor):
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\necho Unable to contact slurm controller >&2; exit 1\n")
    squeue.chmod(0o755)
    with pytest.raises(UserError, match=r"Slurm does not answer.*Unable to contact"):
        find_jobs(tmp_path, owner(executor=executor))
    assert find_jobs(tmp_path, owner()) == []


def test_what_is_being_submitted_is_waited_for(tmp_path):
    program = tmp_path / "sbatch"
    shutil.copy("/bin/sleep", program)
    with subprocess.Popen([program, "1.5"], cwd=tmp_path) as submitting:
        begun = time.monotonic()
        end_jobs(tmp_path.parent, None)
        assert time.monotonic() - begun < 1, "of another folder"
        end_jobs(tmp_path, None)
        assert submitting.poll() == 0
    with subprocess.Popen([program, "20"], cwd=tmp_path) as submitting:
        with pytest.raises(UserError, match="does not end"):
            end_jobs(tmp_path, None, patience=0.1)
        submitting.kill()
