"""The record of a network on clips: choices without effect are neutral, and the rest is checked."""

import numpy as np
import pytest
from plans import limit, space_file, staged, volume_plan

from voxnas.arch.families import expand
from voxnas.arch.families.clip import Clip
from voxnas.arch.families.cnn import CNN
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze

PLAN = volume_plan("classification", (16, 16, 16))
LIMITS = limit(1_000_000)


def clip(**changes):
    return Clip(**staged([4, 6], blocks=[1, 2]) | changes)


def operations(architecture):
    return [node.op for node in expand(architecture).nodes[1:]]


@pytest.mark.parametrize(
    "without_effect",
    [
        {"time_kernel": 5},
        {"time_strides": 2},
        {"threshold": 0.2},
        {"time_width": 8},
        {"temporal": ["shift", "none"]},
        {"temporal": "none"},
        {"expansion": 4},
    ],
    ids=str,
)
def test_choices_without_effect_are_neutral(without_effect):
    assert clip(**without_effect) == clip()


@pytest.mark.parametrize(
    "wrong",
    [
        {"temporal": ["conv"]},
        {"time_strides": [1, 2, 3], "temporal": "conv"},
        {"temporal": "conv", "time_kernel": 4},
        {"temporal": "warp"},
        {"time_head": "gru"},
        {"block": "time_conv"},
        {"threshold": -1, "block": "time_difference"},
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(wrong):
    with pytest.raises(ValueError):
        clip(**wrong)


def test_blocks_that_need_frames_are_for_clips_only():
    with pytest.raises(ValueError, match="time_difference"):
        CNN(
            **{k: getattr(clip(), k) for k in ("in_channels", "out_channels", "widths", "blocks", "strides", "kernels")}
            | {"block": "time_difference"}
        )


def test_operators_stand_where_their_papers_have_them():
    head = ["global_pool", "time_mean", "linear_head"]
    plain = ["plain"] * 3
    assert operations(clip()) == [*plain, *head]
    assert operations(clip(temporal=["none", "conv"])) == ["plain", "plain", "time_conv", "plain", "time_conv", *head]
    assert operations(clip(temporal="shift")) == ["plain", "time_shift", "plain", "time_shift", "plain", *head]
    assert operations(clip(temporal=["attention", "none"])) == ["plain", "time_attention", "plain", "plain", *head]
    pooled = clip(downsample="max", time_head="tcn", time_width=5, head_width=7, block="time_difference")
    assert operations(pooled) == [
        *["time_difference", "max_pool", "time_difference", "time_difference"],
        *["plain", "global_pool", "time_tcn", "linear_head"],
    ]
    assert expand(pooled).divisor == (2, 2, 2)


def test_frames_cost_and_strides_in_time_save():
    one, six = (analyze(clip(), (frames, 8, 8, 8)) for frames in (1, 6))
    assert six.parameters == one.parameters
    assert six.macs - 12 == 6 * (one.macs - 12)  # the linear layer comes after time
    apart, strided = (clip(temporal="conv", time_strides=s) for s in ([1, 1], [2, 1]))
    saved = analyze(apart, (6, 8, 8, 8)).macs - analyze(strided, (6, 8, 8, 8)).macs
    within = analyze(apart, (6, 8, 8, 8)).macs
    assert 0.2 * within < saved < 0.5 * within


def test_a_search_starts_at_the_resnet_of_a_frame_and_finds_clips_again():
    space = SearchSpace.from_dict(space_file("clip"))
    start, _ = space.decode(space.start(PLAN, LIMITS), PLAN)
    assert start.block[-1] == "residual" and set(start.temporal) == {"none"} and start.time_head == "mean"
    rng = np.random.default_rng(0)
    for _ in range(30):
        architecture, recipe = space.decode(space.sample(rng), PLAN)
        again, _ = space.decode(space.nearest(recipe, architecture), PLAN)
        for name in ("temporal", "time_strides", "block", "time_head", "time_width", "threshold"):
            assert getattr(again, name) == getattr(architecture, name)
