"""Channels of the units of ShuffleNet and ShuffleNet V2."""

import torch

from voxnas.arch.graph import GraphBuilder, infer_shapes
from voxnas.nn.network import Network
from voxnas.nn.ops.shufflenet2 import interleave


def unit(op, given, asked, stride=1, **options):
    builder = GraphBuilder(given, 3)
    return builder.finish(builder.add(op, "input", asked, 3, stride, options=options))


def test_interleaved_channels_alternate():
    first, second = torch.arange(3.0).reshape(1, 3, 1), torch.arange(10.0, 14.0).reshape(1, 4, 1)
    assert interleave(first, second).flatten().tolist() == [0, 10, 1, 11, 2, 12, 13]


def test_the_identity_half_of_a_v2_unit_is_unchanged():
    network = Network(unit("shufflenet2", 8, 8)).eval()
    x = torch.randn(1, 8, 5, 5, 5)
    assert torch.equal(network(x)[:, 0::2], x[:, :4])


def test_a_wider_output_is_the_pooled_input_and_the_branch():
    network = Network(unit("shufflenet", 8, 24, stride=2)).eval()
    x = torch.rand(1, 8, 6, 6, 6)  # positive, so that the activation changes nothing
    pooled = torch.nn.functional.avg_pool3d(x, 3, 2, 1, count_include_pad=False)
    torch.testing.assert_close(network(x)[:, :8], pooled)


def test_units_are_much_smaller_than_a_convolution():
    (plain,) = infer_shapes(unit("plain", 32, 32), (8, 8, 8))
    full = sum(layer.macs for layer in plain.layers)
    for op, least in (("shufflenet", 40), ("shufflenet2", 20), ("shift", 25), ("fire", 10)):
        (shaped,) = infer_shapes(unit(op, 32, 32), (8, 8, 8))
        assert full > least * sum(layer.macs for layer in shaped.layers), op
