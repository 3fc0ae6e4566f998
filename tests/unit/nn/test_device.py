import pytest
import torch

from voxnas.core.host import processor_name
from voxnas.nn.device import compute_device, device_name, device_of


@pytest.fixture
def gpus(monkeypatch):
    """Return a function that simulates a number of GPUs and returns the list of current devices."""
    current = []

    def pretend(count):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", current.append)
        return current

    return pretend


def test_without_a_gpu_the_device_is_the_processor(gpus):
    current = gpus(0)
    assert compute_device(3) == torch.device("cpu") and not current
    assert device_name(compute_device()) == processor_name() != ""


def test_processes_take_the_gpus_in_turn(gpus):
    current = gpus(2)
    found = [compute_device(rank) for rank in range(3)]
    assert found == [torch.device("cuda", 0), torch.device("cuda", 1), torch.device("cuda", 0)] == current


def test_the_device_of_a_network_is_the_device_of_its_weights():
    assert device_of(torch.nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(torch.nn.ReLU()) == torch.device("cpu")
