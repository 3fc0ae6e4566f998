"""Measured cost on this device: signs, sizes and order, never times."""

import sys

import pytest
import torch
from plans import staged, volume_plan

from voxnas.arch.families.linear import Linear
from voxnas.arch.families.unet import UNet
from voxnas.complexity.measured import device_record, measure_latency, measure_step
from voxnas.complexity.memory import measure_peak_memory, measure_peaks, memory_request
from voxnas.complexity.memory_model import training_mib
from voxnas.complexity.profile import profile_network
from voxnas.core.settings import TrainingParameters
from voxnas.nn.build import build_network

torch.set_num_threads(1)


def unet(width):
    return UNet(**staged([width, 2 * width], decoder_blocks=[1]))


def test_latency_is_of_an_evaluated_network():
    network = torch.nn.Sequential(torch.nn.Conv3d(1, 2, 3), torch.nn.Dropout())
    found = measure_latency(network, (1, 1, 4, 4, 4), repeats=4, precision="float32")
    assert not network.training
    assert found["median_ms"] > 0 and found["iqr_ms"] >= 0 and found["repeats"] == 4


def test_a_training_step_trains():
    network = build_network(unet(4))
    before = [p.clone() for p in network.parameters()]
    assert measure_step(network, (2, 1, 8, 8, 8), repeats=1, precision="float32")["median_ms"] > 0
    assert any(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peaks_come_from_one_process_and_agree_with_the_model():
    shape = (2, 1, 32, 48, 48)
    asked = [memory_request(unet(16), shape, training, precision="float32") for training in (False, True)]
    asked.insert(1, {**asked[0], "architecture": {"family": "none"}})
    inference, refused, training = measure_peaks(asked)
    assert "ValidationError" in refused["error"]  # and the next is still answered
    mib_of_one_activation = 2 * 16 * 32 * 48 * 48 * 4 / 2**20
    assert 2 * mib_of_one_activation < inference["mib"] < training["mib"]
    assert training_mib(unet(16), shape[2:], 2, bf16=False) == pytest.approx(training["mib"], rel=0.15)


def test_a_failed_measurement_says_so(monkeypatch):
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(RuntimeError, match="status 1"):
        measure_peak_memory(unet(4), (1, 1, 8, 8, 8), training=False)


def test_a_training_step_is_timed_with_its_spread():
    found = measure_step(build_network(unet(4)), (1, 1, 8, 8, 8), repeats=3, precision="float32")
    assert found["median_ms"] > 0 and found["iqr_ms"] >= 0 and found["repeats"] == 3


def test_device_record_names_the_device():
    record = device_record(2, "bf16")
    assert record["threads"] == 2 and record["precision"] == "bf16"
    assert record["processor"] and record["torch"] == torch.__version__


def test_the_linear_baseline_has_a_profile():
    plan = volume_plan("classification", (16, 16, 16), spacing=(4, 4, 4))
    training = TrainingParameters(batch_size=2)
    record = profile_network(Linear(in_channels=1, out_channels=2), plan, training, repeats=2)
    assert (record["parameters"], record["macs"]) == (2 * 8**3 + 2, 2 * 8**3)
    assert record["latency"]["median_ms"] > 0 and record["training_memory_mib"] is None
