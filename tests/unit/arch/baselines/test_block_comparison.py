import pytest
from plans import limit, volume_plan

from voxnas.arch.baselines import BASELINES, baselines_for
from voxnas.arch.baselines.block_comparison import compared_blocks
from voxnas.arch.families import expand
from voxnas.complexity.analytic import analyze
from voxnas.core.settings import parse_settings
from voxnas.core.spec import BLOCK_PREFIX, stage_spec

PLAN = volume_plan(patch=(40, 56, 40))
CLASSES = volume_plan("classification")
SHALLOW = volume_plan(patch=(8, 8, 8))


@pytest.mark.parametrize("block", compared_blocks())
@pytest.mark.parametrize("plan", [PLAN, CLASSES, SHALLOW], ids=["unet", "cnn", "shallow"])
def test_only_the_block_differs(block, plan):
    architecture, recipe = BASELINES[BLOCK_PREFIX + block](plan, limit(1))
    plain, common = BASELINES["block-plain"](plan, limit())
    changed = {"block", "decoder_block", "expansion"}
    assert {**architecture.plain(), **dict.fromkeys(changed)} == {**plain.plain(), **dict.fromkeys(changed)}
    assert recipe == common
    ops = [node.op for node in expand(architecture).nodes[1:]]
    assert ops[0] == "plain" and set(architecture.block[1:]) == {block}
    assert analyze(architecture, plan.patch).macs > 0


def test_widths_and_places_of_the_blocks():
    ops = [node.op for node in expand(BASELINES["block-ghost"](PLAN, limit())[0]).nodes]
    assert ops.count("ghost") == 2 + 2 + 2 + 1 + 1 + 2 and ops.count("max_pool") == 3
    assert BASELINES["block-ghost"](PLAN, limit())[0].widths == (8, 16, 32, 64)
    assert BASELINES["block-ghost"](CLASSES, limit())[0].widths == (16, 32, 64, 128)
    losses = [BASELINES["block-ghost"](volume_plan(task), limit())[1].loss for task in ("classification", "regression")]
    assert losses == ["ce", "mse"]


def test_swaps_take_part_only_where_they_are_named():
    assert not any(
        name.startswith(BLOCK_PREFIX) for task in ("segmentation", "classification") for name in baselines_for(task)
    )
    assert "block-zero" not in BASELINES
    default = stage_spec(parse_settings({}), "calibrate")
    assert default == stage_spec(parse_settings({"baselines": {"names": ["unet"]}}), "calibrate")
    named = parse_settings({"baselines": {"names": ["unet", "block-shift"]}})
    assert stage_spec(named, "calibrate").swaps == ("block-shift",)
