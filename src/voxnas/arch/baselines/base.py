"""Baselines: their type, their registry, and functions that several baselines share.

A baseline is a function of the study's plan and limits, and returns plain records like any source of networks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voxnas.arch.families import list_layers
from voxnas.arch.views import input_size, with_view
from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.errors import UserError
from voxnas.core.plan import Plan
from voxnas.core.registry import Registry
from voxnas.core.settings import LimitSettings

Pair = tuple[Architecture, Recipe]
Build = Callable[[Plan, LimitSettings], Pair]
VECTOR = ("classification", "regression")  # tasks with one vector a scan
WHOLE = ("run", "participant")  # units of which a view of the whole run says something


@dataclass(frozen=True)
class Baseline:
    """A registered baseline of some tasks; call it with the plan and the limits.

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
    units: tuple[str, ...] = ("scan", "volume", "run", "participant")
    fitted: bool = False

    def __call__(self, plan: Plan, limits: LimitSettings) -> Pair:
        """Return architecture and recipe for the data of `plan` under `limits`.

        Raises
        ------
        UserError
            If the study does not prepare the view, or asks for what the view cannot answer.
        """
        seen = plan.for_view(self.view) if self.view else plan.for_volumes()
        if plan.unit not in self.units:
            raise UserError(
                f"a baseline on the view {self.view!r} answers for a {' or '.join(self.units)}, and clips.unit is "
                f"{plan.unit!r}",
                "take it out of baselines.names, or change clips.unit",
            )
        architecture, recipe = self.build(seen, limits)
        return with_view(architecture, seen), recipe


BASELINES: Registry[Baseline] = Registry("baseline")


def baseline(name: str, *tasks: str, scaled: bool = True, **fields: Any) -> Callable[[Build], Baseline]:
    """Decorator: register a baseline under `name` for `tasks`, `scaled` to the limits or not, with further `fields`."""

    def enter(function: Build) -> Baseline:
        return BASELINES.register(name)(Baseline(function, tasks, scaled, **fields))

    return enter


def baselines_for(task: str, views: Sequence[str] = ("",), unit: str = "scan") -> list[str]:
    """Names of the reference baselines of a task, sorted.

    Parameters
    ----------
    task : str
    views : sequence of str
        Views of a run that a study of time series prepares (``clips.views``); by default the scan itself.
    unit : str
        Unit with a target in a study of time series (``clips.unit``).
    """
    every = ((name, BASELINES[name]) for name in BASELINES)
    return [
        name for name, one in every if one.reference and task in one.tasks and one.view in views and unit in one.units
    ]


def within_limits(architecture: Architecture, limits: LimitSettings, size: Sequence[int]) -> bool:
    """Whether the limits on parameters and multiply-adds hold on an input of a size, (D, H, W) or (T, D, H, W)."""
    layers = list(list_layers(architecture, size))
    allowed = {name: getattr(limits, name) or float("inf") for name in ("parameters", "macs")}
    return all(sum(getattr(layer, name) for layer in layers) <= most for name, most in allowed.items())


def halved_to_fit(build: Callable[[int], Architecture], base: int, plan: Plan, limits: LimitSettings) -> Architecture:
    """`build(base)` with the base width halved until the limits hold, or to 2."""
    while base > 2 and not within_limits(narrow := build(base), limits, input_size(narrow, plan)):
        base //= 2
    return build(base)


def vector_loss(task: str) -> str:
    """Loss of a network with one vector a scan: by task cross-entropy, or squared error for regression."""
    return "mse" if task == "regression" else "ce"
