import pytest
import torch
from torch import nn

from voxnas.core.architecture import Recipe
from voxnas.training.optimizers import build_optimizer, set_learning_rate


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_only_matrices_decay_and_all_parameters_learn(name):
    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.InstanceNorm3d(2, affine=True), nn.Conv3d(2, 2, 1))
    optimizer = build_optimizer(network, Recipe(optimizer=name, weight_decay=0.1))
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert len(decays) == len(list(network.parameters()))
    assert all(decays[id(p)] == (0.1 if p.ndim > 1 else 0) for p in network.parameters())
    set_learning_rate(optimizer, 0.25)
    assert {group["lr"] for group in optimizer.param_groups} == {0.25}
    before = [p.clone() for p in network.parameters()]
    network(torch.randn(1, 1, 5, 5, 5)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(before[0], next(network.parameters()))
