import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from voxnas.core.errors import UserError
from voxnas.io.records import write_json
from voxnas.operate import resume

VERBS = {"train", "propose", "phantom"}


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["snakemake", "-c2"], ("snakemake", ["-c2"])),
        (["/v/bin/python3.11", "/v/bin/snakemake", "all"], ("snakemake", ["all"])),
        (["python", "-X", "dev", "-u", "-m", "voxnas", "train"], ("voxnas", ["train"])),
        (["bash", "-c", "snakemake -c2"], ("bash", ["-c", "snakemake -c2"])),
        (["python"], ("", [])),
        ([], ("", [])),
    ],
)
def test_program_of_a_command_line(argv, expected):
    assert resume.program(argv) == expected


@pytest.fixture
def start(tmp_path):
    """Start a sleeping process that calls itself by a given command line, in the working folder."""
    started = []

    def go(name, *arguments, folder=tmp_path, ignore=False):
        script = tmp_path / "bin" / name
        script.parent.mkdir(exist_ok=True)
        signals = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if ignore else ""
        script.write_text(signals + "print(flush=True)\nimport time; time.sleep(60)\n")
        process = subprocess.Popen([sys.executable, script, *arguments], cwd=folder, stdout=subprocess.PIPE)
        process.stdout.readline()
        started.append(process)
        return process

    yield go
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_a_running_snakemake_is_left_alone(tmp_path, start):
    process = start("snakemake", "--cores", "2")
    with pytest.raises(UserError, match=rf"running in .* \(process {process.pid}: snakemake --cores 2\)"):
        resume.check_no_snakemake(tmp_path)


def test_snakemake_elsewhere_is_no_obstacle(tmp_path, start):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    start("snakemake", "--cores", "2", folder=elsewhere)
    resume.check_no_snakemake(tmp_path)


def test_orphans_are_the_studys_own_jobs_and_nothing_else(tmp_path, start):
    study = tmp_path / "results" / "a"
    mine = [
        start("voxnas", "--log", "results/a/logs/x.log", "train", "--study", "results/a"),
        start("voxnas", "propose", f"--study={study}", "--step", "3"),
        start("snakemake", "--mode", "subprocess", "--target-jobs", "x"),
    ]
    start("voxnas", "train", "--study", "results/b")
    start("voxnas", "train", "--study", "results/ab")
    start("voxnas", "predict", "--model", "results/a/model")
    start("voxnas", "resume", "phantom", "--study", "results/a")
    resume.check_no_snakemake(tmp_path)
    found = resume.find_orphans(tmp_path, study, VERBS)
    assert {p.pid for p in found} == {p.pid for p in mine}


def lease(study, pid, host=None, started=None, job=""):
    if started is None:
        started = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    record = {"host": host or os.uname().nodename, "boot": boot, "processes": [{"pid": pid, "start": started}]}
    record |= {"slurm_job": job, "slurm_restarts": 0}
    write_json(study / "store" / f"{pid}" / "lease.json", record)


def test_the_holder_of_a_lease_is_an_orphan_whatever_it_is_called(tmp_path, start):
    study = tmp_path / "results" / "a"
    worker = start("torchrun", "worker")
    lease(study, worker.pid)
    assert [p.pid for p in resume.find_orphans(tmp_path, study, VERBS)] == [worker.pid]


def test_a_process_that_took_over_the_number_of_a_dead_one_is_not(tmp_path, start):
    study = tmp_path / "results" / "a"
    stranger = start("editor")
    lease(study, stranger.pid, started=1)
    assert resume.find_orphans(tmp_path, study, VERBS) == []


def test_a_lease_of_another_host_is_refused(tmp_path):
    lease(tmp_path / "results" / "a", 7, host="node17", started=1)
    with pytest.raises(UserError, match="node17 is training for this study"):
        resume.find_orphans(tmp_path, tmp_path / "results" / "a", VERBS)


def test_a_lease_of_a_job_that_slurm_does_not_know_to_be_over_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    lease(tmp_path / "results" / "a", 7, host="node17", started=1, job="21")
    with pytest.raises(UserError, match=r"job 21 on node17 is training for this study\. scancel 21"):
        resume.find_orphans(tmp_path, tmp_path / "results" / "a", VERBS)


def test_end_asks_first_and_then_kills(start):
    polite, stubborn = start("voxnas", "train"), start("worker", ignore=True)
    begin = time.monotonic()
    resume.end([psutil.Process(polite.pid), psutil.Process(stubborn.pid)], grace=0.5)
    assert not psutil.pid_exists(polite.pid)
    assert not psutil.pid_exists(stubborn.pid)
    assert time.monotonic() - begin < 10
    resume.end([])


def test_lock(tmp_path):
    assert not resume.is_locked(tmp_path)
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    assert not resume.is_locked(tmp_path)
    (locks / "0.output.lock").write_text("results/a/report.html\n")
    assert resume.is_locked(tmp_path)


def command(study, *extra, config=None):
    return resume.snakemake_command("python", config, resume.data_root_of(study), list(extra))[3:]


def test_command(tmp_path):
    study = tmp_path / "a"
    assert command(study) == ["--rerun-incomplete", "--cores", "all"]
    assert command(study, "-c2", "train") == ["--rerun-incomplete", "-c2", "train"]
    assert command(study, "--jobs=3") == ["--rerun-incomplete", "--jobs=3"]
    assert command(study, "--profile", "slurm") == ["--rerun-incomplete", "--profile", "slurm"]
    assert command(study, config="a.yaml")[:3] == ["--configfile", "a.yaml", "--rerun-incomplete"]


def test_command_has_the_profile_of_the_killed_run_unless_told_otherwise(tmp_path):
    def build(*extra):
        return resume.snakemake_command("python", None, "", list(extra), ["slurm", "mine"])[3:]

    assert build() == ["--rerun-incomplete", "--profile", "slurm", "--profile", "mine"]
    assert build("--cores", "2") == ["--rerun-incomplete", "--cores", "2"]
    assert build("--profile", "local", "train") == ["--rerun-incomplete", "--profile", "local", "train"]


def test_command_remembers_the_data_folder(tmp_path):
    write_json(tmp_path / "spec" / "index.json", {"data_root": "/data/brains"})
    remembered = ["--config", "data_root=/data/brains"]
    assert command(tmp_path, "-c2") == ["--rerun-incomplete", "-c2", *remembered]
    assert command(tmp_path, "-c2", "--config", "seed=1")[2:] == [*remembered, "seed=1"]
    given = ["-c2", "--config", "data_root=/other"]
    assert command(tmp_path, *given) == ["--rerun-incomplete", *given]
    write_json(tmp_path / "spec" / "index.json", {"data_root": ""})
    assert command(tmp_path, "-c2") == ["--rerun-incomplete", "-c2"]
