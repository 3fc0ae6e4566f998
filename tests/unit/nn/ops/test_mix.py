"""Weights, samples and choices of the mixed operations of a supernet."""

import pytest
import torch
from saved_tensors import measured_bytes

from voxnas.arch.families.supernet import MixedCells
from voxnas.arch.graph import GraphBuilder
from voxnas.nn.build import build_network
from voxnas.nn.network import Network

OPERATIONS = ("plain", "separable", "separable_5", "skip", "zero")
CELLS = {"in_channels": 1, "out_channels": 2, "widths": [4, 4], "strides": [[1, 1, 1], [2, 2, 2]]}
CELLS |= {"kernels": [[3, 3, 3]] * 2, "cells": 2, "decoder": True, "nodes": 2, "operations": OPERATIONS}


@pytest.fixture
def supernet():
    torch.manual_seed(0)
    return build_network(MixedCells(**CELLS))


@pytest.fixture
def mix():
    """A node with two edges of two operations and ``zero`` each."""
    builder = GraphBuilder(2)
    ends = [builder.add("plain", builder.input, name=f"op{i}") for i in range(4)]
    node = builder.add("mix", tuple(ends), options={"edges": 2, "zero": True})
    return Network(builder.finish(node)).mixes["mix"]


def set_alphas(mix, alphas, betas=(0.0, 0.0)):
    with torch.no_grad():
        mix.alphas.copy_(torch.tensor(alphas))
        mix.betas.copy_(torch.tensor(betas))


def draw(mix, operations, edges, temperature=1.0, hard=False, seed=0):
    return mix.sample(torch.Generator().manual_seed(seed), operations, edges, temperature, hard)


def ran(network, x):
    """Names of the modules of a node that a forward pass computes."""
    names, hooks = [], []
    for name in {node.id for node in network.graph.nodes[1:]}:
        hooks.append(network.get_submodule(name).register_forward_hook(lambda *_, name=name: names.append(name)))
    network(x)
    for hook in hooks:
        hook.remove()
    return names


def test_relaxed_weights_are_the_softmax_of_operations_and_edges(mix):
    set_alphas(mix, [[0.0, 0.0, 0.0], [1.0, 0.0, -torch.inf]], (0.0, 1.0))
    first, second = torch.tensor([0.0, 1.0]).softmax(0).mul(2).tolist()
    share = torch.tensor([1.0, 0.0]).softmax(0) * second
    torch.testing.assert_close(mix.weights(), torch.tensor([first / 3, first / 3, *share.tolist()]))


def test_cells_of_one_type_share_their_alphas(supernet):
    labels = {f"{kind}.{node}" for kind in ("normal", "reduction", "up") for node in range(2)}
    assert set(supernet.owned()) == labels
    assert len(supernet.mixes) == 2 * (4 + 1)  # two nodes of four cells of the encoder and one of the decoder
    names = [name for name, _ in supernet.named_parameters() if name.endswith(("alphas", "betas"))]
    assert len(names) == 2 * len(labels) == len([n for n in supernet.state_dict() if n.endswith(("alphas", "betas"))])
    assert supernet.owned()["normal.0"].names == list(OPERATIONS)


def test_a_draw_has_the_asked_number_and_always_an_output(mix):
    set_alphas(mix, [[-9.0, -9.0, 9.0], [0.0, 0.0, 9.0]])
    for seed in range(20):
        found = draw(mix, 2, 1, seed=seed)
        assert found.operations.shape == (2, 2) and found.edges.shape == (1,)
        assert (found.operations[:, 0] < 2).all() and torch.equal(
            found.operations, draw(mix, 2, 1, seed=seed).operations
        )
        mix.draw = found
        assert len(mix.chosen(training=True)) == len(mix.train().weights()) >= 1
        assert mix.chosen(training=False) is None


def test_better_operations_are_drawn_more_often(mix):
    set_alphas(mix, [[1.0, 0.0, -9.0]] * 2)
    count = sum(int(draw(mix, 1, 2, seed=seed).operations[0, 0] == 0) for seed in range(400))
    assert abs(count / 400 - torch.tensor([1.0, 0.0]).softmax(0)[0]) < 0.08  # Gumbel-max draws from the softmax


def test_sampled_weights_sum_to_the_edges_and_harden_as_they_cool(mix):
    set_alphas(mix, [[0.3, 0.0, -9.0]] * 2)
    mix.train()
    for temperature, sharp in ((1.0, False), (1e-3, True)):
        mix.draw = draw(mix, 2, 2, temperature)
        weights = mix.weights()
        torch.testing.assert_close(weights.sum(), torch.tensor(2.0))
        assert (weights.max() > 1.99) == sharp


def test_straight_through_has_weights_of_one_and_a_gradient(mix):
    set_alphas(mix, [[0.3, 0.0, 0.1]] * 2)
    mix.draw = draw(mix.train(), 1, 1, hard=True)
    weights = mix.weights()
    assert weights.tolist() == [1.0]
    weights.sum().backward()
    edge = int(mix.draw.edges[0])
    assert mix.alphas.grad[edge].abs().min() > 0 and mix.alphas.grad[1 - edge].abs().max() == 0
    assert mix.betas.grad.abs().min() > 0


def test_only_the_sampled_operations_are_computed(supernet):
    x = torch.randn(1, 1, 8, 8, 8)
    everything = set(ran(supernet.train(), x))
    for mix in supernet.owned().values():
        mix.draw = draw(mix, 1, 1)
    supernet.choose()
    some = ran(supernet, x)
    assert len(some) == len(set(some)) < len(everything) / 3
    ops = [name for name in some if ".edge." in name]
    assert 1 <= len(ops) <= len(supernet.mixes)
    supernet(x).sum().backward()
    computed = {
        name for name in everything if any(p.grad is not None for p in supernet.get_submodule(name).parameters())
    }
    assert computed <= set(some) | {n for n in everything if n.endswith("mix")}
    assert set(ran(supernet.eval(), x)) == everything  # a validation sees the relaxed supernet


def test_the_best_operations_are_kept_and_ties_go_to_the_first(mix):
    set_alphas(mix, [[0.0, 0.0, 5.0], [0.0, 2.0, 0.0]])
    assert mix.best() == ((0, 0), (1, 1))
    mix.kept = mix.best()
    assert mix.chosen(training=False) == mix.chosen(training=True) == (0, 3)
    assert mix.weights().tolist() == [1.0, 1.0]


def test_a_node_keeps_its_two_strongest_edges(supernet):
    mix = supernet.owned()["normal.1"]
    with torch.no_grad():
        mix.alphas.zero_()
        mix.betas.copy_(torch.tensor([0.0, 2.0, 1.0]))
        mix.alphas[2, 3] = 4.0
    assert mix.best() == ((1, 0), (2, 3))


def test_edges_with_unequal_numbers_of_operations_are_refused():
    builder = GraphBuilder(2)
    ends = tuple(builder.add("plain", builder.input, name=f"op{i}") for i in range(3))
    with pytest.raises(ValueError, match="mix of 3 inputs over 2 edges"):
        builder.add("mix", ends)


@pytest.mark.parametrize("sampled", [False, True])
def test_recomputing_gives_equal_gradients_and_keeps_less(supernet, sampled):
    x = torch.randn(1, 1, 8, 8, 8)
    if sampled:
        for mix in supernet.owned().values():
            mix.draw = draw(mix, 2, 2)
        supernet.choose()

    def gradients(recompute):
        supernet.recompute = recompute
        kept = measured_bytes(supernet.train(), x, bf16=False)
        loss = supernet(x).square().sum()
        return kept, torch.autograd.grad(loss, list(supernet.parameters()), allow_unused=True)

    (kept, expected), (fewer, found) = gradients(False), gradients(True)
    assert fewer < kept / 2
    assert [g is None for g in found] == [g is None for g in expected]
    for g, wanted in zip(found, expected, strict=True):
        assert g is None or torch.equal(g, wanted)


def test_partial_channels_bypass_the_operations_by_the_weights_of_the_edges():
    torch.manual_seed(0)
    network = build_network(MixedCells(**CELLS | {"partial": 2})).train()
    pairs = [(mix, other) for mix in network.mixes.values() for other in network.mixes.values() if other.owner is mix]
    assert sum(other.bypass for _, other in pairs) == len(network.mixes) / 2
    mix = network.owned()["normal.0"]
    bypass = next(other for other in network.mixes.values() if other.bypass and other.owner is mix)
    with torch.no_grad():
        mix.betas.copy_(torch.tensor([2.0, 0.0]))
    torch.testing.assert_close(bypass.weights(), 2 * mix.betas.softmax(0))
    mix.draw = draw(mix, 1, 1)
    assert bypass.chosen(training=True) == tuple(mix.draw.edges.tolist()) and bypass.weights().tolist() == [1.0]
    mix.kept = ((0, 1), (1, 0))
    network.choose()
    assert bypass.chosen(training=False) == (0, 1)
    convolutions = [m for name, m in network.named_modules() if ".edge." in name and hasattr(m, "out_channels")]
    assert max(m.out_channels for m in convolutions) == 2
    assert network(torch.randn(1, 1, 8, 8, 8)).shape == (1, 2, 8, 8, 8)
