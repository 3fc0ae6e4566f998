import torch
from torch import nn


def test_each_channel_has_one_scale(make):
    module = make("excite", 8)
    x = torch.randn(2, 8, 4, 5, 6) + 1
    ratio = module(x) / x
    scale = ratio.flatten(2).mean(2)
    torch.testing.assert_close(ratio, scale[..., None, None, None].expand_as(ratio))
    assert ((scale > 0) & (scale < 1)).all()
    assert not torch.allclose(scale[0], scale[1]), "the scale does not depend on the sample"


def test_scales_depend_on_all_channels(make):
    module = make("excite", 8, activation="leaky_relu")
    x = torch.rand(1, 8, 4, 4, 4)
    more = x.clone()
    more[:, 3] += 2
    assert (module(x)[:, 0] != module(more)[:, 0]).all()


def test_the_bottleneck_has_at_least_one_channel(make):
    module = make("excite", 8, options={"reduction": 16})
    assert [m.out_channels for m in module.modules() if isinstance(m, nn.Conv3d)] == [1, 8]
