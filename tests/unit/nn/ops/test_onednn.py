"""The convolution by oneDNN equals PyTorch's convolution."""

import pytest
import torch
from torch import nn

from voxnas.nn.ops.base import make_conv
from voxnas.nn.ops.onednn import OneDnnConv3d
from voxnas.nn.ops.pointwise import PointwiseConv3d


@pytest.mark.parametrize("shape", [(2, 6, 5, 7, 6), (1, 6, 5, 7, 6), (1, 16, 5, 7, 6), (1, 16, 36, 40, 2)])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (1, 2), (2, 1), (2, 2)])
def test_results_and_gradients_are_those_of_torch(shape, stride, dilation):
    torch.manual_seed(0)
    padding, channels = (dilation,) * 3, shape[1]
    ours = OneDnnConv3d(channels, 16, (3, 3, 3), (stride,) * 3, padding, dilation)
    torchs = nn.Conv3d(channels, 16, 3, stride, padding, dilation, bias=False)
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(*shape, requires_grad=True)
    a, b = ours(x), torchs(x)
    assert a.is_contiguous()
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    weight = torch.randn_like(a)
    of_ours = torch.autograd.grad(a, (x, ours.weight), weight)
    of_torch = torch.autograd.grad(b, (x, torchs.weight), weight)
    for one, other in zip(of_ours, of_torch, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_it_saves_its_input_without_a_copy_for_the_backward_pass():
    conv = OneDnnConv3d(6, 8, (3, 3, 3), (1, 1, 1), (1, 1, 1))
    x, kept = torch.randn(1, 6, 5, 5, 5, requires_grad=True), []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.data_ptr()), lambda t: t):
        conv(x)
    assert sorted(kept) == sorted([x.data_ptr(), conv.weight.data_ptr()])


def test_bfloat16_is_close_to_float32():
    torch.manual_seed(0)
    conv = OneDnnConv3d(6, 8, (3, 3, 3), (1, 1, 1), (1, 1, 1))
    x = torch.randn(2, 6, 5, 7, 6, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        y = conv(x)
    y.float().sum().backward()
    assert y.dtype is torch.bfloat16 and conv.weight.grad.dtype is torch.float32
    torch.testing.assert_close(y.float(), conv(x), rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("given", "asked", "kernel", "groups", "kind"),
    [
        (8, 8, 3, 1, OneDnnConv3d),
        (16, 24, 3, 1, OneDnnConv3d),
        (16, 32, 3, 1, OneDnnConv3d),
        (1, 8, 3, 1, OneDnnConv3d),
        (8, 8, 1, 1, PointwiseConv3d),
        (8, 8, 3, 2, nn.Conv3d),
    ],
)
def test_it_is_used_where_it_is_faster(given, asked, kernel, groups, kind):
    assert type(make_conv(given, asked, (kernel,) * 3, (1, 1, 1), groups)) is kind


def test_single_small_volumes_are_not_unfolded():
    conv = OneDnnConv3d(16, 16, (3, 3, 3), (1, 1, 1), (1, 1, 1))
    x = torch.randn(1, 16, 6, 6, 6, requires_grad=True)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        conv(x).sum().backward()
    names = {event.key for event in profile.key_averages()}
    assert "aten::mkldnn_convolution" in names and "aten::to_mkldnn" in names
    assert not any("slow_conv3d" in name for name in names)
