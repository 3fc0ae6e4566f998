"""Values of the elementary operators, beyond the contract tests."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from voxnas.arch.graph import GraphBuilder
from voxnas.nn.network import Network


def only(op, *args, dims=2, channels=4, norm="batch", activation="relu", inputs=1, **kwargs):
    graph = GraphBuilder(channels, dims, norm, activation)
    at = graph.add(op, (graph.input,) * inputs if inputs > 1 else graph.input, *args, **kwargs)
    return Network(graph.finish(at)).eval()


def test_windows_are_torchs_where_torch_has_them():
    x = torch.randn(2, 4, 8, 10)
    assert torch.equal(only("window_max", kernel=3, stride=2)(x), F.max_pool2d(x, 3, 2, 1))
    assert torch.equal(only("window_max", kernel=2, stride=2)(x), F.max_pool2d(x, 2, 2))
    assert torch.equal(only("window_average", kernel=2, stride=2)(x), F.avg_pool2d(x, 2, 2))
    border = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
    assert torch.allclose(only("window_average", kernel=3, stride=2)(x), border, atol=1e-6)


@pytest.mark.parametrize("op", ["window_max", "window_average"])
@pytest.mark.parametrize("kernel", [(2, 2), (2, 1), (2, 3)])
def test_windows_beyond_the_border_contain_only_real_voxels(op, kernel):
    stride = (2, 2) if kernel != (2, 1) else (2, 1)
    y = only(op, kernel=kernel, stride=stride)(torch.full((1, 4, 5, 7), -3.0))
    assert torch.equal(y, torch.full((1, 4, 3, 4 if stride[1] == 2 else 7), -3.0))


def test_an_even_convolution_pads_the_far_end():
    network = only("conv", kernel=2, stride=2, options={"norm": False, "activate": False})
    x = torch.randn(1, 4, 4, 6)
    assert torch.allclose(network(x[..., :5])[..., :2], network(x[..., :4]), atol=1e-6)
    assert torch.allclose(network(x[..., :5])[..., 2], network(F.pad(x[..., 4:5], (0, 1)))[..., 0], atol=1e-6)


def test_an_activation_does_not_change_its_input():
    graph = GraphBuilder(4, 1, activation="relu")
    first = graph.add("add", (graph.input, graph.input))
    both = graph.add("add", (graph.add("activate", first), first))
    x = torch.randn(2, 4, 5)
    assert torch.allclose(Network(graph.finish(both))(x), F.relu(2 * x) + 2 * x)


def test_a_prelu_has_a_slope_for_each_channel():
    network = only("activate", activation="prelu")
    assert [p.numel() for p in network.parameters()] == [4]


def test_upsampling_is_torchs():
    x = torch.randn(1, 4, 3, 4)
    y = F.interpolate(x, scale_factor=(2, 1), mode="bilinear", align_corners=False)
    assert torch.allclose(only("upsample", stride=(2, 1))(x), y)
    nearest = only("upsample", stride=2, options={"mode": "nearest"})(x)
    assert torch.equal(nearest, x.repeat_interleave(2, 2).repeat_interleave(2, 3))


def test_shuffle_and_slice_move_channels():
    x = torch.arange(6.0)[None, :, None].expand(1, 6, 3)
    shuffled = only("channel_shuffle", dims=1, channels=6, options={"groups": 3})(x)
    assert shuffled[0, :, 0].tolist() == [0, 2, 4, 1, 3, 5]
    assert only("channel_slice", 2, dims=1, channels=6, options={"start": 3})(x)[0, :, 0].tolist() == [3, 4]


def test_a_norm_without_scale_learns_a_bias():
    network = only("conv", options={"scale": False, "activate": False})
    shift = dict(network.named_parameters())["conv.2.shift"]
    x = torch.randn(2, 4, 5, 5)
    before = network(x)
    nn.init.constant_(shift, 2.0)
    assert torch.allclose(network(x), before + 2)


@pytest.mark.parametrize(
    ("op", "kwargs", "words"),
    [
        ("conv", {"channels": 6, "options": {"groups": 4}}, "cannot have 4 groups"),
        ("conv", {"kernel": 2}, "neither odd nor its stride"),
        ("window_max", {"kernel": 4, "stride": 2}, "neither odd nor its stride"),
        ("upsample", {"options": {"mode": "cubic"}}, "neither linear nor nearest"),
        ("channel_slice", {"channels": 3, "options": {"start": 2}}, "more than 4"),
        ("channel_shuffle", {"options": {"groups": 3}}, "cannot be shuffled"),
        ("dense_layer", {"channels": 10}, "does not give 10"),
    ],
)
def test_nodes_that_cannot_be_built_are_refused(op, kwargs, words):
    with pytest.raises(ValueError, match=words):
        GraphBuilder(4, 2).add(op, "input", **kwargs)
