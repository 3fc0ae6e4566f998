"""The defining properties of the variants of a convolution, beyond shape and cost."""

import pytest
import torch
from torch import nn


def convolutions(module):
    return [m for m in module.modules() if isinstance(m, nn.modules.conv._ConvNd)]


def field(module, channels, size):
    """Receptive field of the middle voxel of the output along each axis, without the norms."""
    for norm in [m for m in module.modules() if isinstance(m, nn.InstanceNorm3d | nn.ReLU)]:
        norm.forward = lambda x: x  # a norm depends on all voxels
    x = torch.randn(1, channels, *size, requires_grad=True)
    output = module(x)
    output[(0, slice(None), *(n // 2 for n in size))].sum().backward()
    seen = x.grad.abs().sum((0, 1)).nonzero()
    return tuple((seen.amax(0) - seen.amin(0) + 1).tolist())


@pytest.mark.parametrize(
    ("op", "kernel", "options", "seen"),
    [
        ("plain", (3, 3, 3), {}, (3, 3, 3)),
        ("dilated", (3, 3, 3), {}, (5, 5, 5)),
        ("dilated", (1, 3, 5), {"dilation": 3}, (1, 7, 13)),
        ("factorised", (3, 5, 3), {}, (3, 5, 3)),
        ("separable", (1, 3, 3), {}, (1, 3, 3)),
        ("preact", (3, 3, 3), {}, (5, 5, 5)),
        ("ghost", (1, 1, 1), {}, (3, 3, 3)),
        ("ghost", (1, 5, 5), {}, (1, 7, 7)),
        ("large_kernel", (3, 3, 3), {}, (5, 5, 5)),
        ("large_kernel", (1, 3, 5), {"wider": 4}, (1, 7, 9)),
        ("skip", (3, 3, 3), {}, (1, 1, 1)),
    ],
)
def test_receptive_fields(make, op, kernel, options, seen):
    assert field(make(op, 6, 6, kernel=kernel, options=options), 6, (15, 15, 15)) == seen


def test_a_factorised_convolution_is_split_within_and_across_slices(make):
    within, across = convolutions(make("factorised", 4, 6, kernel=(3, 5, 3), stride=(2, 1, 2)))
    assert (within.kernel_size, within.stride) == ((1, 5, 3), (1, 1, 2))
    assert (across.kernel_size, across.stride) == ((3, 1, 1), (2, 1, 1))


@pytest.mark.parametrize("kernel", [(1, 3, 3), (3, 1, 1), (1, 1, 1)])
def test_a_kernel_along_or_across_slices_is_not_split(make, kernel):
    (whole,) = convolutions(make("factorised", 4, 6, kernel=kernel, stride=2))
    assert (whole.kernel_size, whole.stride) == (kernel, (2, 2, 2))


def test_a_matched_factorisation_has_as_many_weights_as_the_convolution(make):
    def weights(op, **options):
        return sum(m.weight.numel() for m in convolutions(make(op, 32, 48, kernel=3, options=options)))

    # R(2+1)D rounds the number of intermediate channels down.
    assert 0.99 * weights("plain") < weights("factorised", matched=True) <= weights("plain")
    assert weights("factorised") < 0.6 * weights("plain")


def test_a_factorised_convolution_needs_two_dimensions(make):
    with pytest.raises(ValueError, match="not defined in 1 dimensions"):
        make("factorised", 4, dims=1, kernel=3)


def test_a_separable_convolution_is_depthwise_and_pointwise(make):
    depthwise, mixing = convolutions(make("separable", 4, 6, kernel=3, stride=2))
    assert (depthwise.groups, depthwise.kernel_size, depthwise.stride) == (4, (3, 3, 3), (2, 2, 2))
    assert (mixing.groups, mixing.kernel_size, mixing.stride) == (1, (1, 1, 1), (1, 1, 1))


@pytest.mark.parametrize("op", ["preact", "large_kernel"])
def test_a_residual_block_with_zero_weights_is_the_identity(make, op):
    module = make(op, 6, 6, kernel=3)
    last = convolutions(module)[-1]
    nn.init.zeros_(last.weight)
    if last.bias is not None:
        nn.init.zeros_(last.bias)
    x = torch.randn(2, 6, 5, 7, 5)
    assert torch.equal(module(x), x)


def test_pre_activation_projects_the_activated_input(make):
    module = make("preact", 4, 6, kernel=3, stride=2)
    nn.init.zeros_(module.path[-1].weight)
    x = torch.randn(1, 4, 6, 6, 6)
    assert torch.equal(module(x), module.projection(torch.relu(nn.functional.instance_norm(x))))


@pytest.mark.parametrize(("channels", "ratio", "convolved"), [(6, 2, 3), (5, 2, 3), (8, 3, 3), (1, 2, 1)])
def test_ghost_channels_derive_from_the_convolved_channels(make, channels, ratio, convolved):
    module = make("ghost", 4, channels, kernel=3, options={"ratio": ratio})
    x = torch.randn(1, 4, 6, 6, 6)
    y = module.convolution(x)
    assert y.shape[1] == convolved
    assert torch.equal(module(x)[:, :convolved], y)
    if channels > convolved:
        cheap = convolutions(module)[-1]
        assert cheap.groups == cheap.out_channels == channels - convolved


def test_a_large_kernel_must_stay_odd(make):
    with pytest.raises(ValueError, match="wider must be even"):
        make("large_kernel", 4, kernel=3, options={"wider": 3})
