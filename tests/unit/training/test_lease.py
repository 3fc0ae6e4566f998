import json
import os
import subprocess
import sys
import time

import pytest

from voxnas.training.lease import Lease


def takes(folder):
    """Whether a process obtains the lease at once."""
    with Lease(folder).hold(lambda: True, lambda line: None) as held:
        return held


def leave(folder, age=0, **changes):
    """Leave a lease with other fields, as a killed process would, `age` seconds ago."""
    path = folder / "lease.json"
    with Lease(folder).hold(lambda: True, print):
        record = json.loads(path.read_text())
    path.write_text(json.dumps(record | changes))
    os.utime(path, (time.time() - age,) * 2)


def test_a_held_lease_is_waited_for_and_released(tmp_path):
    lease, lines = Lease(tmp_path / "e"), []
    with lease.hold(lambda: False, lines.append) as held:
        assert held
        with Lease(tmp_path / "e").hold(lambda: True, lines.append) as second:
            assert not second
        assert len(lines) == 1 and str(os.getpid()) in lines[0]
        assert (tmp_path / "e" / "lease.json").exists()
    assert takes(tmp_path / "e")


def test_the_lease_of_a_dead_process_is_taken_over_but_not_while_its_child_lives(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with Lease(tmp_path / "e").hold(lambda: True, print):
        Lease(tmp_path / "e").extend(child.pid)
        record = json.loads((tmp_path / "e" / "lease.json").read_text())
    leave(tmp_path / "e", processes=[{"pid": 2**22 + 1, "start": 1}, *record["processes"][1:]])
    assert not takes(tmp_path / "e")
    child.kill()
    child.wait()
    assert takes(tmp_path / "e")


@pytest.mark.parametrize(
    ("change", "age", "held"),
    [
        ({"boot": "another boot"}, 0, True),
        ({"host": "elsewhere"}, 0, False),
        ({"host": "elsewhere"}, 1000, True),
        ({"processes": [{"pid": os.getpid(), "start": 1}]}, 0, True),  # the number was given to another process
    ],
)
def test_leases_of_other_boots_and_hosts(tmp_path, change, age, held):
    leave(tmp_path / "e", age, **change)
    assert takes(tmp_path / "e") is held


@pytest.mark.parametrize(
    ("own", "age", "held"),
    [
        (("7", "1"), 40, True),  # this job, started again on another node
        (("7", "1"), 5, False),  # it still beats
        (("7", "0"), 40, False),  # the same start: another part of this job trains it
        (("8", "0"), 40, False),
        (("", ""), 40, False),
    ],
)
def test_the_lease_of_an_earlier_start_of_this_job(tmp_path, monkeypatch, own, age, held):
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm can be asked
    leave(tmp_path / "e", age, host="elsewhere", slurm_job="7", slurm_restarts=0)
    monkeypatch.setenv("SLURM_JOB_ID", own[0])
    monkeypatch.setenv("SLURM_RESTART_COUNT", own[1])
    assert takes(tmp_path / "e") is held


def test_jobs_that_were_killed_for_lack_of_memory_are_counted(tmp_path, monkeypatch):
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\ncase $* in *' 9 '*) echo NODE_FAIL;; *) echo OUT_OF_MEMORY;; esac\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for job in ("7", "8", "9", "8"):
        leave(tmp_path / "e", boot="before", slurm_job=job)
    assert takes(tmp_path / "e")
    assert Lease(tmp_path / "e").starved() == ["7", "8"]
