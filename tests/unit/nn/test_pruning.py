"""Groups of channels, their importance, and narrower graphs."""

import numpy as np
import pytest
import torch
from plans import staged
from pruned_weights import narrow_weights, zero_removed

from voxnas.arch.families import expand
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.graph import GraphNetwork
from voxnas.arch.families.unet import UNet
from voxnas.arch.graph import GraphBuilder
from voxnas.complexity.analytic import analyze
from voxnas.core.errors import UserError
from voxnas.nn.build import build_network
from voxnas.nn.network import Network
from voxnas.nn.pruning import channel_groups, channel_scores, kept_channels, narrow_to
from voxnas.training.start import choose_channels

SIZE = (8, 8, 8)


def parameters(graph):
    return analyze(GraphNetwork(in_channels=1, out_channels=2, graph=graph), SIZE).parameters


def test_sums_tie_channels_and_concatenations_keep_them_apart():
    builder = GraphBuilder(1)
    a, b = (builder.add("plain", builder.input, 4) for _ in range(2))
    both = builder.add("add", (a, b))
    depthwise = builder.add("conv", both, 4, 3, options={"groups": 4})
    joined = builder.add("concat", (depthwise, builder.add("plain", builder.input, 2)))
    groups = channel_groups(builder.finish(builder.add("pointwise_head", joined, 2)))
    classes = groups.classes
    assert classes[a] == classes[b] == classes[both] == classes[depthwise] == classes[joined][:4]
    assert sorted(map(len, groups.groups.values())) == [2, 4] and groups.fixed == ()


@pytest.mark.parametrize("block", ["plain", "residual", "preact", "separable"])
@pytest.mark.parametrize(("family", "widths"), [(UNet, (4, 8, 8)), (CNN, (8, 8, 12))], ids=["unet", "cnn"])
def test_planted_channels_are_found_and_their_removal_changes_nothing(family, widths, block):
    decoder = {"decoder_blocks": (1, 1)} if family is UNet else {}
    record = family(**staged(widths, block=block, **decoder))
    graph = expand(record)
    groups = channel_groups(graph)
    planted = {c for found in groups.groups.values() for c in found[::2]}
    torch.manual_seed(0)
    wide, kept = build_network(record).eval(), kept_channels(graph, groups, planted)
    zero_removed(wide, kept)
    scores = channel_scores(graph, groups, wide.state_dict())
    assert {c for o, found in groups.groups.items() for c, s in zip(found, scores[o], strict=True) if s == 0} == planted
    narrow = narrow_to(graph, scores, parameters, parameters(graph) - 1, least=0)
    assert choose_channels(graph, narrow, wide.state_dict(), "magnitude", 0) == kept
    small = Network(narrow).eval()
    small.load_state_dict(narrow_weights(wide, kept))
    assert sum(p.numel() for p in small.parameters()) == parameters(narrow) < parameters(graph)
    x = torch.randn(2, 1, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(small(x), wide(x), rtol=1e-4, atol=1e-5)
    first, again, other = (choose_channels(graph, narrow, wide.state_dict(), "random", seed) for seed in (1, 1, 2))
    assert first == again and first not in (other, kept)


def test_the_least_share_of_channels_remains_and_an_operator_that_cannot_be_pruned_is_named():
    graph = expand(CNN(**staged((8, 8), block="plain", norm="group")))
    scores = {owner: np.zeros(len(found)) for owner, found in channel_groups(graph).groups.items()}
    narrow = narrow_to(graph, scores, parameters, parameters(graph) - 1, least=0.25)
    assert {node.channels for node in narrow.nodes if node.op == "plain"} == {2}
    with pytest.raises(UserError, match=r"raise the smallest of compression\.prune\.levels"):
        narrow_to(graph, scores, parameters, 10, least=0.25)
    inverted = expand(CNN(**staged((8, 8), block="inverted")))
    groups = channel_groups(inverted)
    scores = {owner: np.zeros(len(found)) for owner, found in groups.groups.items()}
    with pytest.raises(UserError, match=r"cannot be pruned: inverted"):
        narrow_to(inverted, scores, parameters, 10, least=0)


def test_a_block_with_a_projection_keeps_it():
    graph = expand(CNN(**staged((4, 8), block="residual", strides=[(1, 1, 1)] * 2)))
    groups = channel_groups(graph)
    scores = {owner: np.r_[np.zeros(len(found) - 3), np.ones(3)] for owner, found in groups.groups.items()}
    narrow = narrow_to(graph, scores, parameters, parameters(graph) / 2, least=0)
    widths = [node.channels for node in narrow.nodes if node.op == "residual"]
    assert widths == [3, 4]
