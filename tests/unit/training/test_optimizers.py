import pytest
import torch
from torch import nn

from voxnas.arch.graph import GraphBuilder
from voxnas.core.architecture import Recipe
from voxnas.nn.network import Network
from voxnas.training.optimizers import build_optimizer, set_learning_rate


@pytest.mark.parametrize("name", ["adamw", "muon", "sgd"])
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


def test_muon_steps_along_orthogonal_matrices():
    from voxnas.training.muon import orthogonalize

    for shape in ((4, 27), (16, 5)):
        values = torch.linalg.svdvals(orthogonalize(torch.randn(*shape, generator=torch.Generator().manual_seed(0))))
        assert values.min() > 0.5 and values.max() < 1.4


def test_muon_has_nesterov_momentum():
    from voxnas.training.muon import MOMENTUM, RMS, Muon, orthogonalize

    parameter = nn.Parameter(torch.zeros(3, 5))
    optimizer = Muon([{"params": [parameter], "orthogonal": True}], lr=0.1, weight_decay=0)
    gradients = torch.randn(2, 3, 5, generator=torch.Generator().manual_seed(0))
    momentum, expected = torch.zeros(3, 5), torch.zeros(3, 5)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        momentum = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        ahead = MOMENTUM * momentum + (1 - MOMENTUM) * gradient
        expected -= 0.1 * RMS * 5**0.5 * orthogonalize(ahead)
    assert torch.allclose(parameter, expected, atol=1e-6)


def test_muon_leaves_ends_vectors_and_depthwise_convolutions_to_adamw():
    graph = GraphBuilder(2)
    at = graph.add("plain", graph.input, 4, kernel=3)
    at = graph.add("inverted", at, 4, kernel=3, options={"expansion": 2})
    network = Network(graph.finish(graph.add("pointwise_head", at, 3)))
    optimizer = build_optimizer(network, Recipe(optimizer="muon", learning_rate=0.1))
    shapes = [tuple(p.shape) for g in optimizer.param_groups if g.get("orthogonal") for p in g["params"]]
    assert shapes == [(8, 4, 1, 1, 1), (4, 8, 1, 1, 1)]
    network(torch.randn(1, 2, 4, 4, 4)).square().sum().backward()
    before = [p.clone() for p in network.parameters()]
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, network.parameters(), strict=True))
    assert len(optimizer.param_groups) == 3
