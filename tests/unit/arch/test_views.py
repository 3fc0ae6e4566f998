import pytest
from plans import volume_plan

from voxnas.arch.families.unet import UNet
from voxnas.arch.views import input_shape, input_size, network_plan

STRIDES = ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))


@pytest.mark.parametrize(("stages", "patch"), [(1, (35, 50, 36)), (3, (36, 52, 36)), (4, (40, 56, 40))])
def test_the_patch_of_a_network_is_the_extent_rounded_up_to_its_divisor(stages, patch):
    plan = volume_plan(patch=(40, 56, 40), strides=STRIDES, extent=(35, 50, 36))
    fields = {"blocks": [1] * stages, "decoder_blocks": [1] * (stages - 1), "kernels": [(3, 3, 3)] * stages}
    network = UNet(in_channels=1, out_channels=2, widths=[8] * stages, strides=STRIDES[:stages], **fields)
    assert network_plan(network, plan).patch == input_size(network, plan) == patch
    assert input_shape(network, plan, 2) == (2, 1, *patch)
    given = volume_plan(patch=(40, 56, 40), strides=STRIDES)
    assert input_size(network, given) == (40, 56, 40)
