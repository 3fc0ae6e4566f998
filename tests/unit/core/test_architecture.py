"""Records are canonical: equal networks have equal keys."""

import pytest
from plans import THICK, staged
from pydantic import ValidationError

from voxnas.arch.families import expand
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.linear import Linear
from voxnas.arch.families.unet import UNet
from voxnas.core.architecture import Recipe, network_key, parse_architecture

STAGED = staged([4, 8, 16], out_channels=3, blocks=[2, 2, 2], strides=THICK[:3])
UNET = {**STAGED, "decoder_blocks": [1, 1]}


def key(data):
    return network_key(UNet(**data), Recipe())


@pytest.mark.parametrize(
    "changes",
    [
        {"block": "plain", "expansion": 4},
        {"block": "residual", "expansion": 4},
        {"deep_supervision": True},
        {"strides": [[1, 1, 1]] * 3, "downsample": "max"},
    ],
    ids=str,
)
def test_a_choice_without_effect_does_not_change_the_key(changes):
    neutral = {name: value for name, value in changes.items() if name in ("block", "strides")}
    assert key({**UNET, **changes}) == key({**UNET, **neutral})


def test_a_choice_with_effect_changes_the_key():
    changes = [
        {},
        {"block": "inverted"},
        {"block": "inverted", "expansion": 4},
        {"norm": "group"},
        {"widths": [4, 8, 8]},
    ]
    assert len({key({**UNET, **change}) for change in changes}) == len(changes)
    assert network_key(UNet(**UNET), Recipe()) != network_key(UNet(**UNET), Recipe(spatial=0.25))


def test_records_return_from_plain_data():
    for record in (UNet(**UNET), CNN(**STAGED, dropout=0.5), Linear(in_channels=1, out_channels=1)):
        assert parse_architecture(record.plain()) == record
        assert hash(parse_architecture(record.plain())) == hash(record)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"blocks": [1]}, "blocks has 1 entries for 3 stages"),
        ({"decoder_blocks": [1]}, "decoder_blocks has 1"),
        ({"kernels": [[2, 3, 3]] * 3}, "odd"),
        ({"strides": [[2, 2, 2]] * 3}, "strides must begin with 1 1 1"),
        ({"widths": [0, 1, 1]}, "greater than 0"),
        ({"depth": 4}, "Extra inputs"),
    ],
)
def test_bad_records_are_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        UNet(**{**UNET, **changes})


def test_total_stride_is_by_axis():
    assert expand(UNet(**UNET)).divisor == (2, 4, 4)
