"""Training and prediction on a GPU give what the CPU gives, but for rounding."""

import subprocess
from pathlib import Path

import pytest
import torch
from tiny_training import make_context, propose, run_fit, train_command

from voxnas.complexity.measured import device_record, measure_latency, measure_step
from voxnas.complexity.memory import measure_peak_memory
from voxnas.core.architecture import Recipe, further_copies
from voxnas.io.records import read_json
from voxnas.io.weights import load_weights, save_weights
from voxnas.nn.build import build_network
from voxnas.nn.device import device_of
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.inference import load_trained, predict_probabilities, predict_vectors

CLOSE = {"rtol": 1e-3, "atol": 1e-4}
# Momentum is linear in the gradient: AdamW would turn rounding noise into whole steps.
STEADY = {"optimizer": "sgd", "learning_rate": 1e-3}


def train(paths, job, folder, device, **options):
    backend = SingleBackend()
    assert backend.device.type == "cuda"
    backend.device = torch.device(device)
    network, outcome = run_fit(paths, job, make_context(folder, **options), backend=backend)
    assert device_of(network).type == device
    return {name: value.cpu() for name, value in network.state_dict().items()}, outcome


def steady(job):
    architecture = job.architecture
    if hasattr(architecture, "dropout"):  # draws other masks on a GPU
        architecture = architecture.model_copy(update={"dropout": 0.0})
    return job.model_copy(update={"architecture": architecture, "recipe": Recipe(loss=job.recipe.loss, **STEADY)})


@pytest.mark.parametrize("task", ["segmentation", "classification", "regression"])
def test_a_training_equals_the_one_on_the_cpu(new_study, new_job, tmp_path, task):
    paths, job = new_study(task, validations=1), steady(new_job(task, 4))
    expected, on_cpu = train(paths, job, tmp_path / "cpu", "cpu")
    found, on_gpu = train(paths, job, tmp_path / "gpu", "cuda")
    torch.testing.assert_close(found, expected, **CLOSE)
    assert on_gpu.curve[0]["train_loss"] == pytest.approx(on_cpu.curve[0]["train_loss"], rel=1e-3)


@pytest.mark.parametrize("second", ["cuda", "cpu"])
@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_saved_training_goes_on_on_either_device(new_study, new_job, tmp_path, optimizer, second):
    paths, job = new_study(validations=1), steady(new_job(samples=8))
    # So little learnt that AdamW's steps, which have no size but the rate, stay within the tolerance.
    rate = {"sgd": 1e-3, "adamw": 1e-5}[optimizer]
    job = job.model_copy(update={"recipe": Recipe(optimizer=optimizer, learning_rate=rate)})
    whole, _ = train(paths, job, tmp_path / "whole", "cuda")
    _, first = train(paths, job, tmp_path / "parts", "cuda", should_stop=lambda: True)
    assert first.state == "INTERRUPTED"
    (state,) = (tmp_path / "parts").glob("state-*.safetensors")
    assert {tensor.device.type for tensor in load_weights(state)[0].values()} == {"cpu"}
    resumed, outcome = train(paths, job, tmp_path / "parts", second)
    assert outcome.resumed_from == first.samples
    torch.testing.assert_close(resumed, whole, **CLOSE)


def test_saved_weights_predict_on_the_gpu_what_they_do_on_the_cpu(new_job, tmp_path):
    patch = [8, 8, 8]
    for task, predict in (
        ("segmentation", lambda n, x: predict_probabilities(n, x, patch, further_copies("all", True), "float32")),
        ("classification", lambda n, x: predict_vectors(n, [x], patch, "float32")),
    ):
        architecture = new_job(task).architecture
        network = build_network(architecture).cuda().eval()
        save_weights(tmp_path / task, network.state_dict())
        again = load_trained(architecture, tmp_path / task)
        assert device_of(again).type == "cuda"
        for shape in ((8, 10, 9), (24, 24, 24)):  # the larger by a sliding window
            image = torch.randn(1, *shape, generator=torch.Generator().manual_seed(0))
            found = predict(again.cuda(), image)
            assert found.device.type == "cpu" and found.dtype is torch.float32
            torch.testing.assert_close(found, predict(network.cuda(), image))
            torch.testing.assert_close(found, predict(again.cpu(), image), **CLOSE)


@pytest.mark.parametrize(("launcher", "processes"), [("single", 1), ("ddp", 2)])
def test_the_command_trains_on_the_gpu_and_says_so(new_study, new_job, launcher, processes):
    paths, job = new_study(), new_job(samples=4)
    arguments = propose(paths, job, 4)
    command = train_command(paths, *arguments, "--launcher", launcher, "--processes", str(processes))
    output = Path(arguments[-1])
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert read_json(output)["state"] == "DONE"
    assert read_json(output.with_name("run.json"))["device"] == torch.cuda.get_device_name()


@pytest.mark.parametrize("precision", ["float32", "auto"])
def test_costs_are_the_gpus(new_job, precision):
    architecture = new_job().architecture
    network = build_network(architecture)
    assert measure_step(network, (2, 1, 8, 8, 8), 2, precision=precision)["median_ms"] > 0
    assert measure_latency(network, (1, 1, 8, 8, 8), 2, precision=precision)["median_ms"] > 0
    assert device_of(network).type == "cuda"
    assert device_record(1, precision)["processor"] == torch.cuda.get_device_name()
    shape = (1, 1, 32, 32, 32)
    inference = measure_peak_memory(architecture, shape, training=False, precision=precision)
    assert 0 < inference < measure_peak_memory(architecture, shape, training=True, precision=precision)
