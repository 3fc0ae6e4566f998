import pytest
import torch

X = torch.randn(2, 6, 5, 7, 4)


@pytest.mark.parametrize("op", ["identity", "skip"])
def test_equal_shapes_give_the_identity(make, op):
    module = make(op, 6)
    assert module(X) is X and not list(module.parameters())


def test_the_halves_of_a_reduction_read_different_voxels(make):
    """Along axes with a stride the first half reads the even voxels, the second the odd ones and zeros at the end."""
    module = make("skip", 6, 8, stride=(1, 2, 2))
    module.norm = torch.nn.Identity()
    for half in module.halves:
        torch.nn.init.zeros_(half.weight)
        half.weight.data[:, 0] = 1
    first, second = module(X)[:, 0], module(X)[:, 4]
    assert torch.equal(first, X[:, 0, :, ::2, ::2])
    assert torch.equal(second[:, :, :3, :2], X[:, 0, :, 1::2, 1::2])
    assert not second[:, :, 3].any(), "the seventh voxel has no successor"


def test_a_change_of_channels_alone_takes_one_convolution(make):
    assert [half.out_channels for half in make("skip", 6, 8).halves] == [8]
    assert [half.out_channels for half in make("skip", 6, 1, stride=2).halves] == [1]
