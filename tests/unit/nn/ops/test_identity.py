import pytest
import torch

X = torch.randn(2, 6, 5, 7, 4)


@pytest.mark.parametrize("op", ["identity", "skip"])
def test_where_shapes_agree_nothing_happens(make, op):
    module = make(op, 6)
    assert module(X) is X and not list(module.parameters())


def test_the_halves_of_a_reduction_see_different_voxels(make):
    """The first the even ones, the second the odd ones along the axes with a stride, and zeros behind the end."""
    module = make("skip", 6, 8, stride=(1, 2, 2))
    module.norm = torch.nn.Identity()
    for half in module.halves:
        torch.nn.init.zeros_(half.weight)
        half.weight.data[:, 0] = 1
    first, second = module(X)[:, 0], module(X)[:, 4]
    assert torch.equal(first, X[:, 0, :, ::2, ::2])
    assert torch.equal(second[:, :, :3, :2], X[:, 0, :, 1::2, 1::2])
    assert not second[:, :, 3].any(), "the seventh has no eighth behind it"


def test_other_channels_alone_take_one_convolution(make):
    assert [half.out_channels for half in make("skip", 6, 8).halves] == [8]
    assert [half.out_channels for half in make("skip", 6, 1, stride=2).halves] == [1]
