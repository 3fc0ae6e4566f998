"""Predicted peaks: against what autograd keeps, and against a measured step."""

import pytest
import torch
from plans import staged
from saved_tensors import measured_bytes, predicted_bytes

from voxnas.arch.families import expand
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.unet import UNet
from voxnas.complexity.memory_model import training_mib
from voxnas.nn.build import build_network

SIZE = (16, 16, 16)


def unet(**changes):
    return UNet(**staged([8, 16], blocks=[2, 2], decoder_blocks=[2]) | changes)


@pytest.mark.parametrize("bf16", [False, True])
@pytest.mark.parametrize("downsample", ["stride", "max", "average"])
@pytest.mark.parametrize("activation", ["leaky_relu", "silu"])
@pytest.mark.parametrize("block", ["plain", "residual"])
def test_what_is_kept_is_what_autograd_keeps(block, activation, downsample, bf16):
    architecture = unet(block=block, activation=activation, downsample=downsample)
    kept = measured_bytes(build_network(architecture).train(), torch.randn(2, 1, *SIZE), bf16)
    assert predicted_bytes(expand(architecture), SIZE, 2, bf16) == pytest.approx(kept, rel=0.02)


def test_the_peak_grows_with_what_needs_memory():
    small = training_mib(unet(), SIZE, 2, bf16=True)
    assert small < training_mib(unet(), SIZE, 4, bf16=True)
    assert small < training_mib(unet(), SIZE, 2, bf16=False)
    assert small < training_mib(unet(widths=[16, 32]), SIZE, 2, bf16=True)
    assert training_mib(unet(), SIZE, 2, bf16=True, cuda=True) < small  # nothing is reordered
    assert training_mib(unet(), SIZE, 2, True, moments=1) < small


def test_networks_for_vectors_have_a_prediction():
    names = set(CNN.model_fields) - {"family", "head_width"}
    record = {k: v for k, v in unet(downsample="max").plain().items() if k in names}
    assert training_mib(CNN(**record, head_width=8), SIZE, 2, True) > 0
