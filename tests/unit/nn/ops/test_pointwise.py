import pytest
import torch
from torch import nn

from voxnas.nn.ops.pointwise import PointwiseConv3d


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_results_and_gradients_are_those_of_torch(batch, bias):
    torch.manual_seed(0)
    ours, torchs = PointwiseConv3d(5, 3, bias), nn.Conv3d(5, 3, 1, bias=bias)
    torchs.load_state_dict(ours.state_dict())
    x = torch.randn(batch, 5, 3, 4, 2, requires_grad=True)
    a, b = ours(x), torchs(x)
    torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    weight = torch.randn_like(a)
    of_ours = torch.autograd.grad(a, (x, *ours.parameters()), weight)
    of_torch = torch.autograd.grad(b, (x, *torchs.parameters()), weight)
    for one, other in zip(of_ours, of_torch, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        assert ours(x).dtype is torch.bfloat16
