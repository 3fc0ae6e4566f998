import math

import pytest
import torch

from voxnas.training.steps.distillation import Distillation
from voxnas.training.steps.supervised import Supervised


def constant(*values):
    """A teacher that gives the same outputs for every sample."""
    return lambda x: torch.tensor(values).expand(len(x), -1)


def test_the_soft_loss_by_hand():
    inputs, targets, outputs = torch.zeros(1, 1), torch.tensor([1]), torch.tensor([[0.0, 0.0]])
    step = Distillation("ce", 0.0, [constant(2.0, 0.0), constant(0.0, 2.0)], 2.0, 0.25, "float32")
    # At temperature 2 the teachers say (e, 1) / (e + 1) and the opposite, (1/2, 1/2) on average, as the outputs do.
    assert step.loss(inputs, outputs, targets).item() == pytest.approx(0.75 * math.log(2))
    step = Distillation("ce", 0.0, [constant(2.0, 0.0)], 2.0, 0.25, "float32")
    q = math.e / (math.e + 1)
    divergence = q * math.log(2 * q) + (1 - q) * math.log(2 * (1 - q))
    assert step.loss(inputs, outputs, targets).item() == pytest.approx(0.75 * math.log(2) + 0.25 * 4 * divergence)


def test_values_are_taught_by_their_mean_and_deep_outputs_by_the_first():
    inputs = torch.zeros(2, 1)
    step = Distillation("mse", 0.0, [constant(2.0), constant(4.0)], 1.0, 0.5, "float32")
    assert step.loss(inputs, torch.zeros(2, 1), torch.ones(2)).item() == pytest.approx(0.5 * 1 + 0.5 * 9)
    outputs = [torch.randn(2, 2, 4, 4, 4), torch.randn(2, 2, 2, 2, 2)]
    labels = torch.randint(0, 2, (2, 4, 4, 4))
    step = Distillation("dice_ce", 0.0, [lambda x: outputs[0]], 3.0, 0.5, "float32")
    alone = Supervised("dice_ce").loss(inputs, outputs, labels)
    assert step.loss(inputs, outputs, labels).item() == pytest.approx(0.5 * alone.item(), rel=1e-5)
