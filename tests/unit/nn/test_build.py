"""Networks have the shapes, heads and layers of their records."""

import itertools

import pytest
import torch
from plans import THICK, staged

from voxnas.arch.families import expand
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.linear import Linear
from voxnas.arch.families.unet import UNet
from voxnas.arch.graph import GraphBuilder
from voxnas.nn.build import build_network
from voxnas.nn.network import Network

BLOCKS = ["plain", "residual", "inverted"]
DOWN = ["stride", "max", "average"]


def unet(**changes):
    fields = staged([4, 6, 8, 10], in_channels=2, out_channels=3, blocks=[1, 2, 1, 1], strides=THICK, expansion=2)
    fields |= {"decoder_blocks": [1, 2, 1], "kernels": [[1, 3, 3], [3, 3, 3], [3, 5, 5], [3, 3, 3]]}
    return UNet(**fields | changes)


def cnn(**changes):
    return CNN(**staged([4, 8, 12], blocks=[1, 2, 1], expansion=3) | changes)


@pytest.mark.parametrize(("block", "downsample"), list(itertools.product(BLOCKS, DOWN)))
def test_unet_returns_logits_of_the_input_size(block, downsample):
    architecture = unet(block=block, downsample=downsample, norm="group", activation="silu")
    assert expand(architecture).divisor == (4, 8, 8)
    network = build_network(architecture).eval()
    assert network(torch.randn(2, 2, 12, 16, 32)).shape == (2, 3, 12, 16, 32)


def test_deep_supervision_returns_a_list_only_in_training():
    network = build_network(unet(deep_supervision=True))
    x = torch.randn(1, 2, 8, 16, 16)
    sizes = [tuple(y.shape) for y in network.train()(x)]
    assert sizes == [(1, 3, 8, 16, 16), (1, 3, 8, 8, 8)]
    assert network.eval()(x).shape == (1, 3, 8, 16, 16)
    assert isinstance(build_network(unet()).train()(x), torch.Tensor)


@pytest.mark.parametrize("architecture", [unet(deep_supervision=True, block=b) for b in BLOCKS], ids=BLOCKS)
def test_every_weight_learns(architecture):
    network = build_network(architecture).train()
    outputs = network(torch.randn(1, 2, 16, 32, 32))
    sum(y.square().mean() for y in outputs).backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert without == []


@pytest.mark.parametrize(("block", "head_width"), list(itertools.product(BLOCKS, [0, 6])))
def test_cnn_returns_one_row_per_scan(block, head_width):
    network = build_network(cnn(block=block, head_width=head_width, dropout=0.5, downsample="max"))
    assert network(torch.randn(3, 1, 16, 20, 16)).shape == (3, 2)


def test_a_network_of_inverted_blocks_begins_with_a_plain_one():
    network = build_network(unet(block="inverted", blocks=[2, 1, 1, 1]))
    assert [node.op for node in network.graph.nodes[1:3]] == ["plain", "inverted"]
    convolutions = [m for m in network.modules() if isinstance(m, torch.nn.Conv3d)]
    assert convolutions[0].in_channels == 2
    assert [m.groups for m in convolutions[:4]] == [1, 1, 8, 1]


def test_a_residual_block_with_zero_weights_is_the_identity():
    graph = GraphBuilder(4, norm="instance", activation="relu")
    network = Network(graph.finish(graph.add("residual", graph.input, kernel=3)))
    torch.nn.init.zeros_(network.residual.second[1].weight)
    x = torch.rand(1, 4, 4, 4, 4)
    assert torch.equal(network(x), x)


def test_every_stage_has_its_own_primitive():
    network = build_network(cnn(block=["plain", "inverted", "residual"], blocks=[1, 1, 1]))
    assert [node.op for node in network.graph.nodes[1:4]] == ["plain", "inverted", "residual"]


def test_equal_seeds_give_equal_weights():
    networks = []
    for _ in range(2):
        torch.manual_seed(3)
        networks.append(build_network(cnn()).state_dict())
    assert all(torch.equal(networks[0][name], networks[1][name]) for name in networks[0])


def test_initial_signals_keep_their_size():
    torch.manual_seed(0)
    out = build_network(unet(widths=[8, 16, 32, 64])).eval()(torch.randn(1, 2, 16, 32, 32))
    assert 0.1 < out.std() < 10


def test_the_linear_baseline_is_not_a_network():
    with pytest.raises(ValueError, match="linear"):
        build_network(Linear(in_channels=1, out_channels=2))


@pytest.mark.parametrize("changes", [{"excite": True, "downsample": "max", "deep_supervision": True}, {}])
def test_parameters_are_in_the_order_of_the_nodes(changes):
    network = build_network(unet(**changes))
    by_node = [p for node in network.graph.nodes[1:] for p in network.get_submodule(node.id).parameters()]
    assert all(a is b for a, b in zip(network.parameters(), by_node, strict=True))


@pytest.mark.parametrize("name", ["train", "graph.a", "a.half"])
def test_an_identity_that_is_an_attribute_of_modules_is_refused(name):
    graph = GraphBuilder(1)
    with pytest.raises(ValueError, match=f"cannot have a node '{name}'"):
        Network(graph.finish(graph.add("plain", graph.input, 2, name=name)))
