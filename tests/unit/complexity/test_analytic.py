"""Counted cost against the networks that are built."""

import itertools
from math import prod

import pytest
import torch
from plans import THICK, staged
from torch import nn

from voxnas.arch.families import list_layers
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.linear import Linear
from voxnas.arch.families.unet import UNet
from voxnas.complexity.analytic import analyze
from voxnas.nn.build import build_network

torch.set_num_threads(1)

KERNELS = [[1, 3, 3], [3, 3, 3], [5, 3, 3]]
STAGED = staged([4, 6, 10], out_channels=3, blocks=[2, 1, 2], strides=THICK[:3], kernels=KERNELS, expansion=3)
STAGED["in_channels"] = 2
CASES = [
    *(
        UNet(**STAGED, decoder_blocks=[1, 2], block=block, downsample=down, norm=norm)
        for block, down, norm in itertools.product(
            ("plain", "residual", "inverted"), ("stride", "max", "average"), ("instance", "group")
        )
    ),
    UNet(**staged([4, 6, 8, 8], out_channels=3, decoder_blocks=[1] * 3, deep_supervision=True)),
    *(
        CNN(**STAGED, block=block, downsample=down, head_width=head)
        for block, down, head in itertools.product(("plain", "residual", "inverted"), ("stride", "max"), (0, 5))
    ),
]


def macs_and_activations(network, x):
    """Counted from what the layers really return."""
    macs = activations = 0

    def count(module, inputs, output):
        nonlocal macs, activations
        activations += output[0].numel()
        if isinstance(module, nn.ConvTranspose3d):
            macs += inputs[0][0].numel() * module.out_channels * prod(module.kernel_size)
        elif isinstance(module, nn.Conv3d):
            macs += output[0].numel() * module.in_channels // module.groups * prod(module.kernel_size)
        else:
            macs += module.in_features * module.out_features

    for module in network.modules():
        if isinstance(module, nn.Conv3d | nn.ConvTranspose3d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(x)
    return macs, activations


@pytest.mark.parametrize("architecture", CASES, ids=lambda a: f"{a.family}-{a.block}-{a.downsample}-{a.norm}")
def test_cost_is_that_of_the_built_network(architecture):
    network = build_network(architecture)
    size = (8, 16, 24)
    cost = analyze(architecture, size)
    assert cost.parameters == sum(p.numel() for p in network.parameters())
    assert (cost.macs, cost.activations) == macs_and_activations(
        network, torch.zeros(1, architecture.in_channels, *size)
    )


def test_cnn_cost_holds_for_odd_sizes():
    for downsample in ("stride", "max"):
        architecture = CNN(**STAGED, downsample=downsample)
        cost = analyze(architecture, (7, 13, 11))
        assert cost[1:] == macs_and_activations(build_network(architecture), torch.zeros(1, 2, 7, 13, 11))


def test_a_convolution_by_hand():
    architecture = UNet(**staged([4], decoder_blocks=[]))
    assert analyze(architecture, (2, 3, 4)) == (27 * 4 + 8 + 4 * 2 + 2, 24 * (27 * 4 + 4 * 2), 24 * (4 + 2))
    assert [layer.kind for layer in list_layers(architecture, (2, 3, 4))] == ["conv", "norm", "conv"]


def test_the_linear_baseline_has_a_weight_for_each_voxel_and_output():
    assert analyze(Linear(in_channels=2, out_channels=3), (4, 5, 6)) == (2 * 120 * 3 + 3, 2 * 120 * 3, 3)
