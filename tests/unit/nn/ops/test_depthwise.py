"""The fast depthwise convolution equals PyTorch's, forward and backward."""

import itertools

import pytest
import torch
from torch import nn

from voxnas.nn.ops.base import ConvNorm, make_conv
from voxnas.nn.ops.depthwise import PIECE, DepthwiseConv3d

KERNELS = [(3, 3, 3), (1, 3, 3), (5, 5, 5), (7, 3, 5)]
STRIDES = [(1, 1, 1), (2, 2, 2), (1, 2, 2), (3, 1, 2)]
SHAPES = [(2, PIECE + 3, 9, 11, 9), (1, 3, 7, 5, 2), (1, 2, 1, 2, 4)]


def pair(channels, kernel, stride, dilation):
    padding = tuple(dilation * (k // 2) for k in kernel)
    ours = DepthwiseConv3d(channels, kernel, stride, padding, dilation)
    torchs = nn.Conv3d(channels, channels, kernel, stride, padding, dilation, groups=channels, bias=False)
    torchs.load_state_dict(ours.state_dict())
    return ours, torchs


def outputs(module, x, autocast=False):
    """The output, and the gradients of input and weight."""
    x = x.clone().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        y = module(x)
    generator = torch.Generator().manual_seed(1)
    y.backward(torch.randn(y.shape, generator=generator).to(y.dtype))
    return y, x.grad, module.weight.grad


@pytest.mark.parametrize(("kernel", "stride", "dilation"), list(itertools.product(KERNELS, STRIDES, (1, 2))))
def test_results_and_gradients_are_those_of_torch(kernel, stride, dilation):
    torch.manual_seed(0)
    for shape in SHAPES:
        ours, torchs = pair(shape[1], kernel, stride, dilation)
        x = torch.randn(shape)
        for a, b in zip(outputs(ours, x), outputs(torchs, x), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kernel", KERNELS)
def test_bfloat16_is_as_exact_as_torch(kernel):
    torch.manual_seed(0)
    ours, torchs = pair(PIECE + 3, kernel, (1, 1, 1), 1)
    x = torch.randn(2, PIECE + 3, 9, 11, 9)
    exact = outputs(torchs, x)
    torchs.zero_grad()
    of_torch = outputs(torchs, x, autocast=True)
    for a, b, c in zip(outputs(ours, x, autocast=True), of_torch, exact, strict=True):
        assert a.dtype == b.dtype
        assert (a.float() - c).abs().max() <= 3 * (b.float() - c).abs().max() + 1e-3


def test_only_requested_gradients_are_computed():
    ours, _ = pair(4, (3, 3, 3), (1, 1, 1), 1)
    ours.weight.requires_grad_(False)
    x = torch.randn(1, 4, 5, 5, 5, requires_grad=True)
    ours(x).sum().backward()
    assert x.grad is not None and ours.weight.grad is None


def test_it_is_used_only_for_depthwise_convolutions():
    assert isinstance(make_conv(4, 4, (3, 3, 3), (1, 1, 1), groups=4), DepthwiseConv3d)
    assert isinstance(ConvNorm(4, 4, (3, 3, 3), (1, 1, 1), "instance", None, groups=4)[0], DepthwiseConv3d)
    for groups, out_channels in ((1, 4), (2, 4), (4, 8)):
        assert not isinstance(make_conv(4, out_channels, (3, 3, 3), (1, 1, 1), groups=groups), DepthwiseConv3d)
    assert type(make_conv(4, 4, (3, 3), (1, 1), groups=4)) is nn.Conv2d
