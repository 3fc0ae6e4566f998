"""What every backend owes the training loop: the gradients, the sums and the weights of one process."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

from voxnas.core.errors import UserError
from voxnas.io.weights import load_weights
from voxnas.training.distributed.launch import LAUNCHERS, launch_command
from voxnas.training.distributed.single import SingleBackend

PROCESSES = {"single": 1, "horovod": 2, "ddp": 2}


def take_steps(launcher, output):
    command = launch_command(
        launcher, PROCESSES[launcher], [str(Path(__file__).with_name("backend_steps.py")), launcher, str(output)]
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    subprocess.run(command, env=environment, check=True, timeout=120, capture_output=True)
    return load_weights(output)[0]


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    return take_steps("single", tmp_path_factory.mktemp("single") / "weights.safetensors")


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_processes_equal_one_process(launcher, reference, tmp_path):
    if launcher == "horovod" and find_spec("horovod") is None:
        pytest.skip("Horovod is not installed")
    found = take_steps(launcher, tmp_path / "weights.safetensors")
    assert found.keys() == reference.keys()
    assert (found["sum"] == 0).all()
    errors = {name: float((found[name] - reference[name]).abs().max()) for name in reference if "/" in name}
    print(launcher, max(errors.values()))
    # On a GPU another size of batch may mean another algorithm.
    assert max(errors.values()) < (1e-4 if torch.cuda.is_available() else 2e-6), errors


@pytest.mark.parametrize(("samples", "size"), [(2, 2), (3, 2), (1, 2), (5, 4), (2, 1)])
def test_shares_are_a_partition_in_order(samples, size):
    backend = SingleBackend()
    backend.size = size
    parts = []
    for rank in range(size):
        backend.rank = rank
        parts.append(list(backend.share(range(samples))))
    assert [j for part in parts for j in part] == list(range(samples))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_single_refuses_several_processes():
    with pytest.raises(UserError, match=r"single.*2 processes"):
        launch_command("single", 2, ["-m", "x"])


def test_unknown_launcher_is_named():
    with pytest.raises(UserError, match=r"mpi.*horovod"):
        launch_command("mpi", 2, ["-m", "x"])
