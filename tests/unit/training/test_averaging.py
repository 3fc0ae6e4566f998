import pytest
import torch
from torch import nn

from voxnas.training.averaging import averaged


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_weights_of_a_step_contribute_with_a_power_of_its_number(share):
    network = nn.Linear(1, 1)
    average = averaged(network, share)
    values = torch.randn(60, generator=torch.Generator().manual_seed(0))
    for value in values:
        nn.init.constant_(network.weight, float(value))
        average.update_parameters(network)
    steps = torch.arange(1, 61, dtype=torch.float64)
    # exact discrete weights: s ** p - (s - 1) ** p with p = 1 / share
    wanted = steps ** (1 / share) - (steps - 1) ** (1 / share)
    expected = float((wanted / wanted.sum() * values).sum())
    assert float(average.module.weight.detach()) == pytest.approx(expected, abs=1e-5)
