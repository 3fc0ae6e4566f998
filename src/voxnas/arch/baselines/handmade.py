"""Hand-made networks with their own recipes, as references for searched networks.

Their published recipes are shortened to small budgets: where the original decays its learning rate in steps over
many epochs, the schedule here decays over the budget.
"""

from collections.abc import Mapping
from typing import Any

from voxnas.arch.baselines.base import (
    BASELINES,
    VECTOR,
    Baseline,
    Pair,
    baseline,
    halved_to_fit,
    vector_loss,
)
from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.reference import Reference
from voxnas.arch.families.unet import UNet
from voxnas.arch.reference import NETWORKS
from voxnas.arch.reference.nnunet import stage_width
from voxnas.arch.stages import stage_fields, usable_stages
from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.plan import Plan
from voxnas.core.settings import LimitSettings


def _nnunet(plan: Plan, base: int) -> UNet:
    stages = usable_stages(plan)
    return UNet(
        **stage_fields(plan, stages),
        widths=[stage_width(base, stage) for stage in range(stages)],
        blocks=[2] * stages,
        decoder_blocks=[2] * (stages - 1),
        block="plain",
        norm="instance",
        activation="leaky_relu",
        downsample="stride",
        deep_supervision=True,
    )


# Isensee et al. 2021: SGD with Nesterov momentum 0.99 (the trainer's), polynomial decay, full augmentation.
NNUNET_RECIPE = Recipe(
    optimizer="sgd",
    learning_rate=1e-2,
    weight_decay=3e-5,
    schedule="poly",
    loss="dice_ce",
    spatial=1.0,
    intensity=1.0,
    mirror="all",
)


UNET_RECIPE = Recipe(optimizer="adamw", learning_rate=2e-3, weight_decay=1e-2, schedule="cosine")


@baseline("nnunet", "segmentation", scaled=False)
def nnunet(plan: Plan, limits: LimitSettings) -> Pair:
    """The nnU-Net plan (Isensee et al. 2021) at its published width, 32 to 320, independent of the limits."""
    return _nnunet(plan, 32), NNUNET_RECIPE


@baseline("nnunet-small", "segmentation")
def nnunet_small(plan: Plan, limits: LimitSettings) -> Pair:
    """The nnU-Net plan scaled to the limits by halving its width; 8, 16, 32 .. without limits."""
    unlimited = limits.parameters is None and limits.macs is None
    return halved_to_fit(lambda base: _nnunet(plan, base), 8 if unlimited else 32, plan, limits), NNUNET_RECIPE


@baseline("unet", "segmentation")
def unet(plan: Plan, limits: LimitSettings) -> Pair:
    """The plain 3D U-Net (Cicek et al. 2016) with three levels of 16, 32, 64 channels and max pooling.

    Instance norm in place of batch norm, for batches are small; AdamW with cosine decay.
    """
    stages = min(3, usable_stages(plan))

    def build(base: int) -> UNet:
        return UNet(
            **stage_fields(plan, stages),
            widths=[base * 2**i for i in range(stages)],
            blocks=[2] * stages,
            decoder_blocks=[2] * (stages - 1),
            activation="relu",
            downsample="max",
        )

    return halved_to_fit(build, 16, plan, limits), UNET_RECIPE


def resnet_recipe(task: str) -> Recipe:
    """AdamW with cosine decay: the recipe of all networks but SFCN; the loss is that of the task."""
    return Recipe(learning_rate=1e-3, weight_decay=1e-2, schedule="cosine", loss=vector_loss(task), mirror="left_right")


def sfcn_recipe(task: str) -> Recipe:
    """SGD with the published rate and weight decay, which decays over the budget here; the loss is that of the task."""
    return Recipe(
        optimizer="sgd",
        learning_rate=1e-2,
        weight_decay=1e-3,
        schedule="poly",
        loss=vector_loss(task),
        mirror="left_right",
    )


def residual_encoder(plan: Plan, base: int) -> dict[str, Any]:
    """Fields of a network whose encoder is a ResNet-10's: up to four stages of one block.

    The first has `base` channels, each further one twice as many.
    """
    stages = min(4, usable_stages(plan))
    return {
        **stage_fields(plan, stages),
        "widths": [base * 2**i for i in range(stages)],
        "blocks": [1] * stages,
        "block": "residual",
        "activation": "relu",
    }


def residual_cnn(plan: Plan, limits: LimitSettings, base: int) -> Architecture:
    """A ResNet-10 whose first stage has `base` channels, halved until the limits hold."""
    return halved_to_fit(lambda width: CNN(**residual_encoder(plan, width)), base, plan, limits)


@baseline("resnet", *VECTOR)
def resnet(plan: Plan, limits: LimitSettings) -> Pair:
    """A 3D ResNet-10 (Hara et al. 2018; Chen et al. 2019) at a quarter of its width: 16, 32, 64, 128."""
    return residual_cnn(plan, limits, 16), resnet_recipe(plan.task)


@baseline("sfcn", *VECTOR)
def sfcn(plan: Plan, limits: LimitSettings) -> Pair:
    """SFCN (Peng et al. 2021): 32, 64, 128, 256, 256 channels with max pooling, a pointwise 64, dropout 0.5."""
    stages = min(5, usable_stages(plan))

    def build(base: int) -> CNN:
        return CNN(
            **stage_fields(plan, stages),
            widths=[min(base * 2**i, 8 * base) for i in range(stages)],
            blocks=[1] * stages,
            activation="relu",
            downsample="max",
            head_width=2 * base,
            dropout=0.5,
        )

    return halved_to_fit(build, 32, plan, limits), sfcn_recipe(plan.task)


# Width multipliers of the mobile networks, by the names that torchvision gives them.
WIDTHS = {
    "mobilenet_v1_x0_25": ("mobilenet_v1", 0.25),
    "mobilenet_v1_x0_5": ("mobilenet_v1", 0.5),
    "mobilenet_v2_x0_5": ("mobilenet_v2", 0.5),
    "shufflenet_v1_x0_5": ("shufflenet_v1", 0.5),
    "shufflenet_v2_x0_5": ("shufflenet_v2", 0.5),
    "shufflenet_v2_x1_5": ("shufflenet_v2", 1.5),
}


def _register_named(name: str, network: str, options: Mapping[str, Any]) -> None:
    """Make a hand-made network of the registry a baseline, at its published size, independent of the limits.

    The two nnU-Nets take their strides and kernels from the plan, to the depth that the patch allows.
    """

    def build(plan: Plan, limits: LimitSettings) -> Pair:
        chosen, recipe = dict(options), UNET_RECIPE
        if network.startswith("nnunet"):
            stages, recipe = usable_stages(plan), NNUNET_RECIPE
            chosen |= {"strides": plan.strides[:stages], "kernels": plan.kernels[:stages]}
        elif plan.task != "segmentation":
            recipe = (sfcn_recipe if network.startswith("sfcn") else resnet_recipe)(plan.task)
        architecture = Reference(
            name=network, in_channels=plan.channels, out_channels=plan.outputs, options=tuple(chosen.items())
        )
        return architecture, recipe

    BASELINES.register(name)(Baseline(build, NETWORKS[network].tasks, scaled=False))


for _name in NETWORKS:
    _register_named(_name, _name, {})
for _name, (_network, _width) in WIDTHS.items():
    _register_named(_name, _network, {"width": _width})
