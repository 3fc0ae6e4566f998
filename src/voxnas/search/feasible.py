"""Feasible candidates of a search: configurations of its space that satisfy the hard limits."""

import math
from dataclasses import dataclass
from functools import cache, cached_property, partial

from voxnas.arch.search_space import Config, SearchSpace
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.complexity.calibration import predict_latency_ms, predict_training_mib
from voxnas.core.architecture import Architecture, Recipe, network_key
from voxnas.core.calibration import Calibration
from voxnas.core.errors import UserError
from voxnas.core.plan import Plan
from voxnas.core.settings import LimitSettings

PREDICTED = {"latency_ms": predict_latency_ms, "memory_mib": predict_training_mib}


def cost_of(architecture: Architecture, name: str, plan: Plan, calibration: Calibration | None) -> float:
    """Return a cost of one patch by its name: ``parameters``, ``macs``, ``latency_ms`` or ``memory_mib``.

    Raises
    ------
    UserError
        If the cost is predicted and there is no calibration.
    """
    size = input_size(architecture, plan)
    if name not in PREDICTED:
        return float(getattr(analyze(architecture, size), name))
    if calibration is None:
        raise UserError(f"{name} needs a calibration and there is none", "run the stage calibrate")
    return PREDICTED[name](calibration, architecture, size)


@dataclass(frozen=True)
class Candidate:
    """A network that a search may propose.

    Parameters
    ----------
    config : mapping
        Configuration in the search space; empty for a network that is not a point of the space.
    architecture : Architecture
        Network.
    recipe : Recipe
        Recipe of its training.
    """

    config: Config
    architecture: Architecture
    recipe: Recipe

    @cached_property
    def key(self) -> str:
        """Identity (see :func:`voxnas.core.architecture.network_key`)."""
        return network_key(self.architecture, self.recipe)


class FeasibleSpace:
    """Networks that one search may propose.

    Parameters
    ----------
    space : SearchSpace
        Search space; for a given architecture, the space of its recipes.
    plan : Plan
        Plan of the study; the limits apply to the cost of one patch.
    limits : LimitSettings
        Hard limits of the search.
    calibration : Calibration or None
        Calibration of the device; required by limits on the latency or the memory.
    architecture : architecture or None
        Fixed architecture of all candidates, to which the limits do not apply (a hand-made network); None: searched.

    Raises
    ------
    UserError
        If the latency or the memory is limited and there is no calibration, or the space does not fit the data.
    """

    def __init__(
        self,
        space: SearchSpace,
        plan: Plan,
        limits: LimitSettings,
        calibration: Calibration | None = None,
        architecture: Architecture | None = None,
    ) -> None:
        for name in PREDICTED:
            if getattr(limits, name) is not None and calibration is None and architecture is None:
                raise UserError(
                    f"search.limits.{name} = {getattr(limits, name)} needs a calibration and there is none",
                    "run the stage calibrate, or remove the limit",
                )
        if architecture is None:
            space.check_fits(plan)
        self.space = space
        self.plan = plan
        self.limits = limits
        self.calibration = calibration
        self.architecture = architecture
        # Many candidates differ in their recipe alone, and the cost takes longer to compute than a decoding.
        self.cost = cache(lambda network: analyze(network, input_size(network, plan)))

    def candidate(self, config: Config) -> Candidate:
        """Return the candidate of a configuration."""
        if self.architecture is not None:
            return Candidate(config, self.architecture, self.space.decode_recipe(config, self.plan))
        return Candidate(config, *self.space.decode(config, self.plan))

    def admits(self, candidate: Candidate) -> bool:
        """Whether a candidate satisfies all limits."""
        if self.architecture is not None:
            return True
        amount = partial(self.amount, candidate.architecture)
        return all(amount(name) <= limit for name, limit in self.limits if limit is not None)

    def amount(self, architecture: Architecture, name: str) -> float:
        """Return a cost of a network: a limited one, by its name in the settings."""
        if name not in PREDICTED:
            return float(getattr(self.cost(architecture), name))
        return cost_of(architecture, name, self.plan, self.calibration)

    def features(self, candidate: Candidate) -> list[float]:
        """Return the features of a candidate for a surrogate: its encoded configuration, parameters and MACs.

        Parameters and MACs depend on many choices jointly, and correlate with the score more than any single choice. A
        factor of three in cost has the weight of one choice.
        """
        cost = self.cost(candidate.architecture)
        return [*self.space.encode(candidate.config), math.log(cost.parameters, 3), math.log(cost.macs, 3)]
