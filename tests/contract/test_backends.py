"""What every backend owes the training loop: the gradients, the sums and the weights of one process."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from tiny_training import skip_without

from voxnas.core.errors import UserError
from voxnas.io.weights import load_weights
from voxnas.training.distributed.launch import launch_command
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.run_options import LAUNCHERS

SIZES = [("single", 1), ("horovod", 2), ("horovod", 3), ("ddp", 2), ("ddp", 3)]
# Relative to the largest entry of a tensor; all others are 1e-5.
ROUNDED = {"bf16": 2e-2, "fp16": 2e-3, "fp16-parts": 2e-3, "compressed": 2e-3}


def take_steps(launcher, processes, output):
    program = [str(Path(__file__).with_name("backend_steps.py")), launcher, "1", str(output)]
    command = launch_command(launcher, processes, program)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return load_weights(output)[0]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return take_steps("single", 1, tmp_path_factory.mktemp("single") / "found.safetensors")


@pytest.mark.parametrize(("launcher", "processes"), SIZES)
def test_processes_equal_one_process(launcher, processes, reference, tmp_path):
    skip_without(launcher)
    found = take_steps(launcher, processes, tmp_path / "found.safetensors")
    assert found.keys() == reference.keys()
    assert (found["sum"] == 0).all()
    assert found["overflow/moved"] == 0
    assert found["overflow/scale"] == 2.0**9
    errors = {"gradient": {}, "loss": {}, "weights": {}, "spread": {}}
    for name, wanted in reference.items():
        case, _, what = name.partition("/")
        kind = what.partition("/")[0]
        if kind not in errors:
            continue
        # On a GPU another size of batch may mean another algorithm.
        allowed = ROUNDED.get(case, 1e-4 if torch.cuda.is_available() else 1e-5)
        error = float((found[name] - wanted).abs().max() / wanted.abs().max().clamp_min(1e-3))
        errors[kind][case] = max(errors[kind].get(case, 0.0), error)
        assert error <= (1e-7 if kind == "spread" else allowed), (name, error)
    print(launcher, processes, {k: f"{v:.1e}" for k, v in errors["gradient"].items()})
    # Compression rounds, and is on in that case alone.
    assert (errors["gradient"]["compressed"] > 1e-5) == (processes > 1)


@pytest.mark.parametrize(("samples", "size"), [(2, 2), (3, 2), (1, 2), (5, 4), (2, 1)])
@pytest.mark.parametrize("speeds", [(), (3.0, 1.0, 1.0, 0.5)])
def test_shares_are_a_partition_in_order(samples, size, speeds):
    backend = SingleBackend()
    backend.size, backend.speeds = size, speeds[:size]
    parts = []
    for rank in range(size):
        backend.rank = rank
        parts.append(list(backend.share(range(samples))))
    assert [j for part in parts for j in part] == list(range(samples))
    assert speeds or max(map(len, parts)) - min(map(len, parts)) <= 1


def test_single_refuses_several_processes():
    with pytest.raises(UserError, match=r"single.*2 processes"):
        launch_command("single", 2, ["-m", "x"])


def test_unknown_launcher_is_named():
    with pytest.raises(UserError, match=r"mpi.*horovod"):
        launch_command("mpi", 2, ["-m", "x"])


def test_horovod_meets_by_its_own_variable(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: name)
    commands = {}
    for controller in ("gloo", "mpi"):
        monkeypatch.setenv("HOROVOD_CONTROLLER", controller)
        commands[controller] = launch_command("horovod", 2, ["-m", "x"])
        assert f"--{controller}" in commands[controller]
        # The cluster's own MPI starts the processes of MPI alone.
        assert ("--mpi=none" in launch_command("horovod", 2, ["-m", "x"], nodes=2)) == (controller == "gloo")
        assert "--mpi=none" in launch_command("ddp", 2, ["-m", "x"], nodes=2)
    monkeypatch.delenv("HOROVOD_CONTROLLER")
    assert launch_command("horovod", 2, ["-m", "x"]) == commands["gloo"]
    monkeypatch.setenv("HOROVOD_CONTROLLER", "rabbit")
    with pytest.raises(UserError, match=r"HOROVOD_CONTROLLER = 'rabbit'.*gloo, mpi"):
        launch_command("horovod", 2, ["-m", "x"])


@pytest.mark.parametrize("launcher", [name for name in LAUNCHERS if name != "single"])
def test_several_nodes_want_srun_and_a_process_each(launcher, monkeypatch):
    with pytest.raises(UserError, match="2 processes cannot use 3 nodes"):
        launch_command(launcher, 2, ["-m", "x"], nodes=3)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"nodes = 2 needs srun"):
        launch_command(launcher, 2, ["-m", "x"], nodes=2)
