import math
from types import SimpleNamespace

import pytest
import torch

from voxnas.training.distributed.single import SingleBackend
from voxnas.training.steps.distillation import Distillation
from voxnas.training.steps.supervised import Supervised
from voxnas.training.targets import Targets

CLASSES = Targets("classification", classes=("a", "b"))


class Constant(torch.nn.Module):
    """A teacher that gives the same outputs for every sample."""

    def __init__(self, *values, scale=(0.0, 1.0)):
        super().__init__()
        self.values, self.target_scale = torch.tensor(values), scale

    def forward(self, x):
        return self.values.expand(len(x), -1)


def test_the_soft_loss_by_hand():
    inputs, targets, outputs = torch.zeros(1, 1), torch.tensor([1]), torch.tensor([[0.0, 0.0]])
    step = Distillation("ce", 0.0, {None: [Constant(2.0, 0.0), Constant(0.0, 2.0)]}, 2.0, 0.25, "float32", CLASSES)
    # At temperature 2 the teachers say (e, 1) / (e + 1) and the opposite, (1/2, 1/2) on average, as the outputs do.
    assert step.loss(inputs, outputs, targets).item() == pytest.approx(0.75 * math.log(2))
    step = Distillation("ce", 0.0, {None: [Constant(2.0, 0.0)]}, 2.0, 0.25, "float32", CLASSES)
    q = math.e / (math.e + 1)
    divergence = q * math.log(2 * q) + (1 - q) * math.log(2 * (1 - q))
    assert step.loss(inputs, outputs, targets).item() == pytest.approx(0.75 * math.log(2) + 0.25 * 4 * divergence)


def test_values_are_taught_by_their_mean_and_deep_outputs_by_the_first():
    inputs = torch.zeros(2, 1)
    # The teachers predict 2 * 3 + 1 = 7 and 4 in the units of the target; standardised, (5.5 - 1) / 0.5 = 9.
    teachers = {None: [Constant(2.0, scale=(1.0, 3.0)), Constant(4.0)]}
    step = Distillation("mse", 0.0, teachers, 1.0, 0.5, "float32", Targets("regression", mean=1.0, sd=0.5))
    assert step.loss(inputs, torch.zeros(2, 1), torch.ones(2)).item() == pytest.approx(0.5 * 1 + 0.5 * 9**2)
    outputs = [torch.randn(2, 2, 4, 4, 4), torch.randn(2, 2, 2, 2, 2)]
    labels = torch.randint(0, 2, (2, 4, 4, 4))
    step = Distillation("dice_ce", 0.0, {None: [lambda x: outputs[0]]}, 3.0, 0.5, "float32", Targets("segmentation"))
    alone = Supervised("dice_ce").loss(inputs, outputs, labels)
    assert step.loss(inputs, outputs, labels).item() == pytest.approx(0.5 * alone.item(), rel=1e-5)


def test_a_teacher_may_need_a_larger_patch_than_the_student():
    class Coarse(torch.nn.Module):
        divisor = (4, 4, 4)

        def forward(self, x):
            assert x.shape[2:] == (4, 8, 4)
            return torch.cat([x, -x], 1)

    step = Distillation("dice_ce", 0.0, {None: [Coarse()]}, 1.0, 1.0, "float32", Targets("segmentation"))
    inputs = torch.randn(2, 1, 3, 6, 4)
    outputs = torch.cat([inputs, -inputs], 1)
    assert step.loss(inputs, outputs, torch.zeros(2, 3, 6, 4).long()).item() == pytest.approx(0, abs=1e-6)


def test_each_sample_is_taught_by_the_teachers_of_its_fold():
    teachers = {0: [Constant(1.0)], 1: [Constant(3.0), Constant(5.0)]}
    step = Distillation("mse", 0.0, teachers, 1.0, 1.0, "float32", Targets("regression"), lambda sample: sample % 2)
    gradients = SimpleNamespace(backend=SingleBackend())
    step.begin(None, gradients, range(1, 4))  # folds 1, 0, 1
    losses = [step.loss(torch.zeros(n, 1), torch.zeros(n, 1), torch.zeros(n)).item() for n in (1, 2)]
    assert losses == pytest.approx([16, (1 + 16) / 2])
