"""Hand-made networks with their own recipes: what a search has to beat.

Each is a function of the study's plan and limits, and returns plain records like any source of
networks. Their published recipes are shortened to small budgets: where the original decays its
learning rate in steps over many epochs, the schedule here decays over the budget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from voxnas.core.architecture import CNN, AnyArchitecture, Named, Recipe, UNet
from voxnas.core.errors import UserError
from voxnas.core.networks import list_layers
from voxnas.core.networks.named import NETWORKS
from voxnas.core.registry import Registry
from voxnas.core.swaps import PREFIX, swapped, swapped_blocks
from voxnas.core.views import input_size, seen_as, view_plan, volume_plan

Pair = tuple[AnyArchitecture, Recipe]
Build = Callable[[Mapping[str, Any], Mapping[str, Any]], Pair]
SMALLEST_BOTTLENECK = 4  # voxels along each axis, as in nnU-Net


@dataclass(frozen=True)
class Baseline:
    """A registered baseline; call it with the plan and the limits.

    ``scaled`` says whether it keeps to the limits; one that does not has its published size. One that is no
    ``reference`` takes part only where a study names it. ``view`` is what of a run it reads, for the ``units`` that may
    have a target; without one it reads scans, or the first view of a run that is a volume. ``fitted`` says that there
    is nothing to train: it is fitted once, with its own choice of regularisation.
    """

    build: Build
    tasks: tuple[str, ...]
    scaled: bool
    reference: bool = True
    view: str = ""
    units: tuple[str, ...] = ("volume", "run", "participant")
    fitted: bool = False

    def __call__(self, plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
        """Return architecture and recipe for the data of `plan` under `limits` (LimitSettings as plain data).

        Raises
        ------
        UserError
            If the study does not prepare the view, or asks for what the view cannot answer.
        """
        seen = view_plan(plan, self.view) if self.view else volume_plan(plan)
        if plan.get("unit", "run") not in self.units:
            raise UserError(
                f"a baseline on the view {self.view!r} answers for a {' or '.join(self.units)}, and clips.unit is "
                f"{plan['unit']!r}",
                "take it out of baselines.names, or change clips.unit",
            )
        architecture, recipe = self.build(seen, limits)
        return seen_as(architecture, seen), recipe


BASELINES: Registry[Baseline] = Registry("baseline")


def baseline(name: str, *tasks: str, scaled: bool = True) -> Callable[[Build], Baseline]:
    """Decorator: register a baseline under `name` for the given tasks."""

    def enter(function: Build) -> Baseline:
        return BASELINES.register(name)(Baseline(function, tasks, scaled))

    return enter


def baselines_for(task: str, views: Sequence[str] = ("",), unit: str = "run") -> list[str]:
    """Names of the reference baselines of a task, sorted.

    Parameters
    ----------
    task : str
    views : sequence of str
        What a study of time series prepares of each run (``clips.views``); the usual is the scan itself.
    unit : str
        What has a target in a study of time series (``clips.unit``).
    """
    every = ((name, BASELINES[name]) for name in BASELINES)
    return [
        name for name, one in every if one.reference and task in one.tasks and one.view in views and unit in one.units
    ]


def usable_stages(plan: Mapping[str, Any], bottleneck: int = SMALLEST_BOTTLENECK) -> int:
    """How many stages of the plan a network on its patch can have.

    The patch must stay divisible by the strides, and its smallest axis at least `bottleneck`
    voxels long (never counting an axis that was shorter from the start).
    """
    size, stages = list(plan["patch"]), 0
    for stride in plan["strides"]:
        if any(n % s or (s > 1 and n // s < bottleneck) for n, s in zip(size, stride, strict=True)):
            break
        size = [n // s for n, s in zip(size, stride, strict=True)]
        stages += 1
    return max(stages, 1)


def within(architecture: AnyArchitecture, limits: Mapping[str, Any], size: Sequence[int]) -> bool:
    """Whether the limits on parameters and multiply-adds hold on an input of a size, (D, H, W) or (T, D, H, W)."""
    layers = list(list_layers(architecture, size))
    allowed = {name: limits.get(name) or float("inf") for name in ("parameters", "macs")}
    return all(sum(getattr(layer, name) for layer in layers) <= most for name, most in allowed.items())


def halved_to_fit(
    build: Callable[[int], AnyArchitecture], base: int, plan: Mapping[str, Any], limits: Mapping[str, Any]
) -> AnyArchitecture:
    """`build(base)` with the base width halved until the limits hold, or to 2."""
    while base > 2 and not within(narrow := build(base), limits, input_size(narrow, plan)):
        base //= 2
    return build(base)


def _nnunet(plan: Mapping[str, Any], base: int) -> UNet:
    stages = usable_stages(plan)
    return UNet(
        in_channels=plan["channels"],
        out_channels=plan["outputs"],
        widths=[min(base * 2**i, 10 * base) for i in range(stages)],
        blocks=[2] * stages,
        decoder_blocks=[2] * (stages - 1),
        strides=plan["strides"][:stages],
        kernels=plan["kernels"][:stages],
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
    augmentation=1.0,
    mirror="all",
)


UNET_RECIPE = Recipe(optimizer="adamw", learning_rate=2e-3, weight_decay=1e-2, schedule="cosine", augmentation=0.5)


@baseline("nnunet", "segmentation", scaled=False)
def nnunet(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """The nnU-Net plan (Isensee et al. 2021) at its published width, 32 to 320, whatever the limits."""
    return _nnunet(plan, 32), NNUNET_RECIPE


@baseline("nnunet-small", "segmentation")
def nnunet_small(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """The nnU-Net plan scaled to the limits by halving its width; 8, 16, 32 .. where there are none."""
    unlimited = not (limits.get("parameters") or limits.get("macs"))
    return halved_to_fit(lambda base: _nnunet(plan, base), 8 if unlimited else 32, plan, limits), NNUNET_RECIPE


@baseline("unet", "segmentation")
def unet(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """The plain 3D U-Net (Cicek et al. 2016) with three levels of 16, 32, 64 channels and max pooling.

    Instance norm in place of batch norm, for batches are small; AdamW with cosine decay.
    """
    stages = min(3, usable_stages(plan))

    def build(base: int) -> UNet:
        return UNet(
            in_channels=plan["channels"],
            out_channels=plan["outputs"],
            widths=[base * 2**i for i in range(stages)],
            blocks=[2] * stages,
            decoder_blocks=[2] * (stages - 1),
            strides=plan["strides"][:stages],
            kernels=plan["kernels"][:stages],
            activation="relu",
            downsample="max",
        )

    return halved_to_fit(build, 16, plan, limits), UNET_RECIPE


def vector_loss(task: str) -> str:
    """Loss of a network with one vector a scan: cross-entropy, or squared error for regression."""
    return "mse" if task == "regression" else "ce"


def resnet_recipe(task: str) -> Recipe:
    """AdamW with cosine decay: the recipe of all classifiers but SFCN."""
    return Recipe(learning_rate=1e-3, weight_decay=1e-2, schedule="cosine", loss=vector_loss(task), mirror="left_right")


def sfcn_recipe(task: str) -> Recipe:
    """SGD with the published rate and weight decay, which decays over the budget here."""
    return Recipe(
        optimizer="sgd",
        learning_rate=1e-2,
        weight_decay=1e-3,
        schedule="poly",
        loss=vector_loss(task),
        mirror="left_right",
    )


def residual_encoder(plan: Mapping[str, Any], base: int) -> dict[str, Any]:
    """Fields of a network whose encoder is a ResNet-10's: up to four stages of one block, each twice as wide."""
    stages = min(4, usable_stages(plan))
    return {
        "in_channels": plan["channels"],
        "out_channels": plan["outputs"],
        "widths": [base * 2**i for i in range(stages)],
        "blocks": [1] * stages,
        "strides": plan["strides"][:stages],
        "kernels": plan["kernels"][:stages],
        "block": "residual",
        "activation": "relu",
    }


def residual_cnn(plan: Mapping[str, Any], limits: Mapping[str, Any], base: int) -> AnyArchitecture:
    """A ResNet-10 whose first stage has `base` channels, halved until the limits hold."""
    return halved_to_fit(lambda width: CNN(**residual_encoder(plan, width)), base, plan, limits)


@baseline("resnet", "classification", "regression")
def resnet(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """A 3D ResNet-10 (Hara et al. 2018; Chen et al. 2019) at a quarter of its width: 16, 32, 64, 128."""
    return residual_cnn(plan, limits, 16), resnet_recipe(plan["task"])


@baseline("sfcn", "classification", "regression")
def sfcn(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """SFCN (Peng et al. 2021): 32, 64, 128, 256, 256 channels with max pooling, a pointwise 64, dropout 0.5."""
    stages = min(5, usable_stages(plan))

    def build(base: int) -> CNN:
        return CNN(
            in_channels=plan["channels"],
            out_channels=plan["outputs"],
            widths=[min(base * 2**i, 8 * base) for i in range(stages)],
            blocks=[1] * stages,
            strides=plan["strides"][:stages],
            kernels=plan["kernels"][:stages],
            activation="relu",
            downsample="max",
            head_width=2 * base,
            dropout=0.5,
        )

    return halved_to_fit(build, 32, plan, limits), sfcn_recipe(plan["task"])


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
    """Make a hand-made network of the registry a baseline, at its published size whatever the limits.

    The two nnU-Nets take their strides and kernels from the plan, to the depth that the patch allows.
    """

    def build(plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
        chosen, recipe = dict(options), UNET_RECIPE
        if network.startswith("nnunet"):
            stages, recipe = usable_stages(plan), NNUNET_RECIPE
            chosen |= {what: tuple(map(tuple, plan[what][:stages])) for what in ("strides", "kernels")}
        elif plan["task"] != "segmentation":
            recipe = (sfcn_recipe if network.startswith("sfcn") else resnet_recipe)(plan["task"])
        architecture = Named(
            name=network, in_channels=plan["channels"], out_channels=plan["outputs"], options=tuple(chosen.items())
        )
        return architecture, recipe

    BASELINES.register(name)(Baseline(build, NETWORKS[network].tasks, scaled=False))


for _name in NETWORKS:
    _register_named(_name, _name, {})
for _name, (_network, _width) in WIDTHS.items():
    _register_named(_name, _network, {"width": _width})


def _swap(block: str, plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Pair:
    """A network with one block in every place, of the same widths whatever the limits."""
    loss = "dice_ce" if plan["task"] == "segmentation" else vector_loss(plan["task"])
    return swapped(block, plan, usable_stages(plan), loss)


def _swaps() -> dict[str, Baseline]:
    tasks = ("segmentation", "classification", "regression")
    return {
        f"{PREFIX}{block}": Baseline(partial(_swap, block), tasks, scaled=False, reference=False)
        for block in swapped_blocks()
    }


BASELINES.add_later(_swaps)


def _further() -> Mapping[str, Baseline]:
    from voxnas.core.linear_baselines import LINEAR_BASELINES  # both import this module
    from voxnas.core.run_baselines import RUN_BASELINES

    return {**LINEAR_BASELINES, **RUN_BASELINES}


BASELINES.add_later(_further)
