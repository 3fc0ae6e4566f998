import pytest
from plans import changed, limit, volume_plan

from voxnas.arch.baselines import BASELINES, baselines_for
from voxnas.arch.baselines.handmade import WIDTHS
from voxnas.arch.reference import NETWORKS
from voxnas.arch.stages import usable_stages
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import parse_architecture
from voxnas.core.errors import UserError

HIPPOCAMPUS = volume_plan(patch=(40, 56, 40))
ANISOTROPIC = changed(
    HIPPOCAMPUS,
    spacing=(0.5, 0.5, 3.0),
    patch=(12, 64, 64),
    strides=[(1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2)],
    kernels=[(1, 3, 3), (1, 3, 3), (3, 3, 3), (3, 3, 3)],
)
CLASSES = volume_plan("classification", (40, 56, 40), spacing=(4, 4, 4))


def test_each_task_has_its_baselines():
    own = {
        task: [n for n in baselines_for(task) if n not in NETWORKS and n not in WIDTHS]
        for task in ("segmentation", "classification", "regression")
    }
    assert own["segmentation"] == ["nnunet", "nnunet-small", "unet"]
    assert own["classification"] == own["regression"] == ["linear", "resnet", "sfcn"]
    assert {name for name in NETWORKS if name not in BASELINES} == set()
    with pytest.raises(UserError, match="did you mean 'nnunet'"):
        BASELINES["nnunett"]


def test_nnunet_is_the_published_plan():
    architecture, recipe = BASELINES["nnunet"](HIPPOCAMPUS, limit(560_000))
    assert architecture.widths == (32, 64, 128, 256) and architecture.deep_supervision
    cost = analyze(architecture, HIPPOCAMPUS.patch)
    assert cost.parameters == 5_601_382
    assert cost.macs == pytest.approx(19.1e9, rel=0.01)
    assert (recipe.optimizer, recipe.learning_rate, recipe.schedule, recipe.loss) == ("sgd", 0.01, "poly", "dice_ce")


def test_nnunet_stops_growing_at_ten_times_its_base():
    deep = volume_plan(patch=(128,) * 3, strides=[(1, 1, 1)] + [(2, 2, 2)] * 5)
    assert BASELINES["nnunet"](deep, limit())[0].widths == (32, 64, 128, 256, 320, 320)


@pytest.mark.parametrize(
    ("limits", "base"), [(limit(), 8), (limit(560_000), 8), (limit(2_000_000), 16), (limit(macs=400_000_000), 4)]
)
def test_nnunet_small_keeps_the_limits(limits, base):
    architecture, _ = BASELINES["nnunet-small"](HIPPOCAMPUS, limits)
    assert architecture.widths[0] == base
    cost = analyze(architecture, HIPPOCAMPUS.patch)
    assert cost.parameters <= (limits.parameters or 1e9) and cost.macs <= (limits.macs or 1e12)


@pytest.mark.parametrize("plan", [HIPPOCAMPUS, ANISOTROPIC], ids=["isotropic", "anisotropic"])
def test_segmentation_baselines_take_strides_and_kernels_from_the_plan(plan):
    for name in ("nnunet", "nnunet-small", "unet"):
        architecture, _ = BASELINES[name](plan, limit())
        stages = len(architecture.widths)
        assert architecture.strides == plan.strides[:stages]
        assert architecture.kernels == plan.kernels[:stages]


@pytest.mark.parametrize(("task", "loss"), [("classification", "ce"), ("regression", "mse")])
def test_the_loss_follows_the_task(task, loss):
    plan = volume_plan(task, (40, 56, 40), spacing=(4, 4, 4))
    for name in baselines_for(task):
        architecture, recipe = BASELINES[name](plan, limit(200_000))
        assert recipe.loss == loss and architecture.out_channels == plan.outputs
        if architecture.family == "cnn":
            assert analyze(architecture, plan.patch).parameters <= 200_000


def test_usable_stages_keep_the_patch_divisible_and_large_enough():
    assert usable_stages(HIPPOCAMPUS) == 4
    assert usable_stages(ANISOTROPIC) == 4
    assert usable_stages(changed(HIPPOCAMPUS, patch=(40, 56, 24))) == 3
    assert usable_stages(changed(HIPPOCAMPUS, patch=(42, 56, 40))) == 2


def test_linear_size_turns_the_axes_and_rounds():
    plan = changed(CLASSES, spacing=(2, 4, 8))
    assert input_size(BASELINES["linear"](plan, limit())[0], plan) == (40, 28, 10)


@pytest.mark.parametrize("plan", [HIPPOCAMPUS, ANISOTROPIC, CLASSES], ids=["isotropic", "anisotropic", "classes"])
def test_named_networks_take_the_data_as_it_is_and_are_not_chosen_by_auto(plan):
    for name in baselines_for(plan.task):
        if name in NETWORKS or name in WIDTHS:
            baseline = BASELINES[name]
            architecture, recipe = baseline(plan, limit(1))
            assert not baseline.scaled and architecture.family == "named"
            assert recipe.loss == ("dice_ce" if plan.task == "segmentation" else "ce")
            assert analyze(architecture, plan.patch).macs > 0
            assert parse_architecture(architecture.plain()) == architecture


def test_the_residual_encoder_follows_the_plan():
    architecture, recipe = BASELINES["nnunet-resenc"](ANISOTROPIC, limit())
    assert dict(architecture.options)["strides"] == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2))
    assert recipe == BASELINES["nnunet"](ANISOTROPIC, limit())[1]
    assert BASELINES["nnunet-plain"](HIPPOCAMPUS, limit())[0] != BASELINES["nnunet-plain"](ANISOTROPIC, limit())[0]


def test_the_plain_plan_is_the_searched_family_with_idle_biases():
    plain = analyze(BASELINES["nnunet-plain"](HIPPOCAMPUS, limit())[0], HIPPOCAMPUS.patch)
    searched = analyze(BASELINES["nnunet"](HIPPOCAMPUS, limit())[0], HIPPOCAMPUS.patch)
    assert plain.macs == searched.macs
    assert plain.parameters - searched.parameters == 2 * (32 + 64 + 128 + 256) + 2 * (128 + 64 + 32)
