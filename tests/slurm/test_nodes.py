"""Trainings over two nodes of a Slurm cluster, by srun and without ssh: the same as on one."""

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tiny_training import propose, skip_without, train_command

from voxnas.core.trial import Result
from voxnas.io.records import read_json, read_record
from voxnas.io.weights import load_weights


@pytest.fixture(params=["horovod", "horovod by MPI", "ddp"])
def launcher(request, cluster, monkeypatch):
    """Of the trainings; the environment of what the cluster runs is made for it."""
    name, *mpi = request.param.split(" by ")
    skip_without(name)
    threads = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    if mpi:
        threads |= with_mpi()
    monkeypatch.setattr(cluster, "environment", {**cluster.environment, **threads})
    return name


def with_mpi():
    """The environment by which srun starts Horovod's processes for MPI, where it was built for it."""
    import horovod.torch as hvd

    # An MPI is no part of the environment: envs/build_horovod.py takes it in where HOROVOD_WITH_MPI=1 asks for it.
    if not hvd.mpi_built():
        pytest.skip("Horovod was built without MPI")
    return {"HOROVOD_CONTROLLER": "mpi", "SLURM_MPI_TYPE": "pmix"}


def submit(cluster, folder, command, *options):
    """A batch job on two nodes; ends with it."""
    script = folder / "job.sh"
    script.write_text("#!/bin/sh\nexec " + " ".join(command) + "\n")
    sizes = ["--nodes=2", "--ntasks=2", "--cpus-per-task=1", "--mem=1500", "--partition=gpu"]
    sizes.append(f"--output={folder}/job.log")
    return subprocess.Popen(["sbatch", "--wait", *sizes, *options, str(script)], env=cluster.environment, cwd=folder)


def test_two_nodes_equal_one_process(cluster, new_study, new_job, tmp_path, launcher):
    paths, job = new_study(batch_size=3), new_job()
    arguments = propose(paths, job, 12)
    output = Path(arguments[-1])
    subprocess.run(train_command(paths, *arguments), env=cluster.environment, check=True, timeout=120)
    one = read_record(output, Result)
    weights, _ = load_weights(paths.store / one.store / "weights.safetensors")
    shutil.rmtree(paths.store)

    command = train_command(paths, *arguments, "--launcher", launcher, "--processes", "2", "--nodes", "2")
    status = submit(cluster, tmp_path, command).wait(timeout=180)
    log = (tmp_path / "job.log").read_text()
    assert status == 0, log
    run = read_json(output.with_name("run.json"))
    assert (run["nodes"], len(set(run["hosts"]))) == (2, 2)
    two = read_record(output, Result)
    found, _ = load_weights(paths.store / two.store / "weights.safetensors")
    assert max(float((found[name] - weights[name]).abs().max()) for name in weights) < 1e-4
    assert two.score == pytest.approx(one.score, abs=1e-3)


def test_a_preempted_job_leaves_its_state_and_nothing_runs_on(cluster, new_study, new_job, tmp_path, launcher):
    paths = new_study()
    options = ["--launcher", launcher, "--processes", "2", "--nodes", "2"]
    command = train_command(paths, *propose(paths, new_job(), 1_000_000), *options)
    name = f"voxnas-{os.getpid()}-{launcher}"
    job = submit(cluster, tmp_path, command, f"--job-name={name}")
    end = time.monotonic() + 120
    while not (tmp_path / "job.log").exists():
        assert time.monotonic() < end and job.poll() is None
        time.sleep(0.1)
    while "training on" not in (tmp_path / "job.log").read_text():
        assert time.monotonic() < end and job.poll() is None
        time.sleep(0.1)
    time.sleep(1)
    cluster.run("scancel", "--batch", f"--signal={signal.SIGTERM.name}", f"--name={name}")
    assert job.wait(timeout=90) == 75, (tmp_path / "job.log").read_text()
    assert list(paths.store.glob("*/state.json"))
    assert not cluster.run("squeue", "-h", "--steps", f"--name={name}").strip()
