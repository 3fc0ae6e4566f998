"""Whole trainings by two real processes: the same network as by one, and the same place in the store."""

import os
import shutil
import subprocess
import time
from pathlib import Path

import psutil
import pytest
from tiny_training import propose, skip_without, train_command

from voxnas.core.trial import Result
from voxnas.io.records import read_json, read_record
from voxnas.io.weights import load_weights
from voxnas.training.distributed.launch import launch_command

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
SAMPLES = 30


def train(paths, job, *options):
    arguments = propose(paths, job, SAMPLES)
    command, output = train_command(paths, *arguments, *options), arguments[-1]
    done = subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, timeout=180)
    return done.returncode, done.stderr, Path(output)


@pytest.mark.parametrize("launcher", ["horovod", "ddp"])
def test_two_processes_equal_one(new_study, new_job, launcher):
    skip_without(launcher)
    # Three samples a batch are two for one process and one for the other.
    paths, job = new_study(batch_size=3), new_job(samples=SAMPLES)
    status, log, output = train(paths, job)
    assert status == 0, log
    one = read_record(output, Result)
    weights, _ = load_weights(paths.store / one.store / "weights.safetensors")
    shutil.rmtree(paths.store)

    # Half by two processes, cut short by the deadline, then to the end.
    two_processes = ["--launcher", launcher, "--processes", "2", "--micro-batch", "1", "--shares", "measured"]
    two_processes += ["--fusion-mb", "0.5", "--cycle-ms", "0.5"]
    status, log, _ = train(paths, job, *two_processes, "--deadline", "0")
    assert status == 75, log
    status, log, output = train(paths, job, *two_processes)
    assert status == 0, log
    assert "resuming at 3 samples" in log
    two = read_record(output, Result)
    assert two.store == one.store
    run = read_json(output.with_name("run.json"))
    assert (run["processes"], run["nodes"]) == (2, 1)
    assert len(run["samples_per_second"]) == 2 and min(run["samples_per_second"]) > 0
    found, _ = load_weights(paths.store / two.store / "weights.safetensors")
    error = max(float((found[name] - weights[name]).abs().max()) for name in weights)
    print(launcher, "largest difference of a weight", error, "of the score", abs(one.score - two.score))
    assert error < 1e-4
    assert two.score == pytest.approx(one.score, abs=1e-3)


def run_program(name, folder, launcher, processes):
    output = folder / f"{launcher}.safetensors"
    program = [str(Path(__file__).with_name(name)), launcher, str(output)]
    command = launch_command(launcher, processes, program)
    done = subprocess.run(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return load_weights(output)[0]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return run_program("throttled.py", tmp_path_factory.mktemp("alone"), "single", 1)


@pytest.mark.parametrize(("launcher", "processes"), [("horovod", 3), ("ddp", 2)])
def test_a_slow_process_gets_less_of_the_batch_and_the_gradient_stays(launcher, processes, alone, tmp_path):
    skip_without(launcher)
    found = run_program("throttled.py", tmp_path, launcher, processes)
    *others, slow = found["speeds"].tolist()
    print(launcher, "samples a second", found["speeds"].tolist(), "samples of process 0", float(found["mine"]))
    assert len(others) == processes - 1 and slow < 0.7 * max(others)
    assert found["mine"] > 8 // processes
    names = [name for name in alone if name.startswith("gradient/")]
    errors = [float((found[n] - alone[n]).abs().max() / alone[n].abs().max().clamp_min(1e-3)) for n in names]
    assert len(errors) > 10 and max(errors) <= 1e-5
    assert float(found["loss"]) == pytest.approx(float(alone["loss"]), rel=1e-6)


@pytest.mark.parametrize("launcher", ["horovod", "ddp"])
def test_all_processes_resume_at_the_progress_of_process_0(launcher, tmp_path):
    skip_without(launcher)
    found = run_program("resumed.py", tmp_path, launcher, 2)
    assert found["begun"].tolist() == [4, 4]
    assert found["spread"] < 1e-7


def training_processes(process):
    """The two processes that train below a launcher; none while it starts them."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        try:
            command = child.cmdline()
            if "voxnas.training.worker" in command and "--entry" in command and not child.children():
                found.append(child)
        except psutil.Error:
            continue
    return found if len(found) == 2 else []


@pytest.mark.parametrize("launcher", ["horovod", "ddp"])
def test_a_killed_process_is_replaced_with_its_group(new_study, new_job, launcher):
    skip_without(launcher)
    paths = new_study()
    options = ["--launcher", launcher, "--processes", "2", "--checkpoint-seconds", "0.01"]
    arguments = propose(paths, new_job(), 1_000_000)
    command, output = train_command(paths, *arguments, *options), Path(arguments[-1])
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 90
        while not list(paths.store.glob("*/state.json")):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        first = training_processes(process)
        first[1].kill()
        while not (later := training_processes(process)) or set(later) & set(first):
            assert time.monotonic() < end and process.poll() is None
            time.sleep(0.05)
        process.terminate()
        assert process.wait(timeout=90) == 75
    finally:
        process.kill()
    assert not output.exists()
    assert not [p for p in first if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
