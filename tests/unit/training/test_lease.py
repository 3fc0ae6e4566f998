import json
import os
import subprocess
import sys
import time

import pytest

from voxnas.training.lease import Lease


def test_a_live_lease_is_waited_for_and_released(tmp_path):
    lease, lines = Lease(tmp_path / "e"), []
    with lease.hold(lambda: False, lines.append) as held:
        assert held
        with Lease(tmp_path / "e").hold(lambda: True, lines.append) as second:
            assert not second
        assert len(lines) == 1 and str(os.getpid()) in lines[0]
        assert (tmp_path / "e" / "lease.json").exists()
    with lease.hold(lambda: True, lines.append) as again:
        assert again


def test_the_lease_of_the_dead_is_taken_over_but_not_while_their_child_lives(tmp_path):
    lease = Lease(tmp_path / "e")
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    with lease.hold(lambda: True, print):
        lease.extend(child.pid)
        record = json.loads((tmp_path / "e" / "lease.json").read_text())
    record["processes"][0] = {"pid": 2**22 + 1, "start": 1}  # the parent died
    (tmp_path / "e" / "lease.json").write_text(json.dumps(record))
    with lease.hold(lambda: True, lambda line: None) as held:
        assert not held
    child.kill()
    child.wait()
    with lease.hold(lambda: True, print) as held:
        assert held


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
    lease = Lease(tmp_path / "e")
    path = tmp_path / "e" / "lease.json"
    with lease.hold(lambda: True, print):
        record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, **change}))
    os.utime(path, (time.time() - age,) * 2)
    with lease.hold(lambda: True, lambda line: None) as found:
        assert found is held


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
    lease, path = Lease(tmp_path / "e"), tmp_path / "e" / "lease.json"
    monkeypatch.setenv("PATH", str(tmp_path))  # no Slurm to be asked
    with lease.hold(lambda: True, print):
        record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "host": "elsewhere", "slurm_job": "7", "slurm_restarts": 0}))
    os.utime(path, (time.time() - age,) * 2)
    monkeypatch.setenv("SLURM_JOB_ID", own[0])
    monkeypatch.setenv("SLURM_RESTART_COUNT", own[1])
    with lease.hold(lambda: True, lambda line: None) as found:
        assert found is held


def test_jobs_that_were_killed_for_want_of_memory_are_counted(tmp_path, monkeypatch):
    lease, path = Lease(tmp_path / "e"), tmp_path / "e" / "lease.json"
    squeue = tmp_path / "squeue"
    squeue.write_text("#!/bin/sh\ncase $* in *' 9 '*) echo NODE_FAIL;; *) echo OUT_OF_MEMORY;; esac\n")
    squeue.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    for job in ("7", "8", "9", "8"):
        with lease.hold(lambda: True, print):
            record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "boot": "before", "slurm_job": job}))
    with lease.hold(lambda: True, print) as held:
        assert held
    assert lease.starved() == ["7", "8"]
