"""What a search may propose: configurations of a space as networks, held to the hard limits."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

from voxnas.arch.search_space import Config, SearchSpace
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.complexity.calibration import predict_latency_ms, predict_training_mib
from voxnas.core.architecture import Architecture, Recipe, network_key
from voxnas.core.calibration import Calibration
from voxnas.core.errors import UserError
from voxnas.core.plan import Plan

PREDICTED = {"latency_ms": predict_latency_ms, "memory_mib": predict_training_mib}


@dataclass(frozen=True)
class Candidate:
    """A network with its recipe, and the configuration that stands for it (empty: it has none in the space)."""

    config: Config
    architecture: Architecture
    recipe: Recipe

    @functools.cached_property
    def key(self) -> str:
        """Identity (see :func:`voxnas.core.architecture.network_key`)."""
        return network_key(self.architecture, self.recipe)


class FeasibleSpace:
    """Networks that one search may propose.

    Parameters
    ----------
    space : SearchSpace
        Search space; where an architecture is given, the space of its recipes.
    plan : Plan
        The study's plan; gives the patch whose cost is limited.
    limits : dict
        ``parameters``, ``macs``, ``latency_ms`` and ``memory_mib``, each a number or None.
    calibration : Calibration or None
        The device's calibration; needed to limit the latency or the memory.
    architecture : architecture or None
        Where given, every candidate is this architecture, and the limits do not apply (a
        hand-made network is what it is).

    Raises
    ------
    UserError
        If the latency or the memory is limited and there is no calibration, or the space does not fit the data.
    """

    def __init__(
        self,
        space: SearchSpace,
        plan: Plan,
        limits: dict[str, Any],
        calibration: Calibration | None = None,
        architecture: Architecture | None = None,
    ) -> None:
        for name in PREDICTED:
            if limits.get(name) is not None and calibration is None and architecture is None:
                raise UserError(
                    f"search.limits.{name} = {limits[name]} needs a calibration and there is none",
                    "run the stage calibrate, or remove the limit",
                )
        if architecture is None:
            space.check_fits(plan)
        self.space = space
        self.plan = plan
        self.limits = limits
        self.calibration = calibration
        self.architecture = architecture
        # Many candidates differ in their recipe alone, and counting takes longer than decoding.
        self.cost = functools.cache(lambda network: analyze(network, input_size(network, plan)))

    def candidate(self, config: Config) -> Candidate:
        """The network of a configuration."""
        if self.architecture is not None:
            return Candidate(config, self.architecture, self.space.decode_recipe(config, self.plan))
        return Candidate(config, *self.space.decode(config, self.plan))

    def admits(self, candidate: Candidate) -> bool:
        """Whether a candidate keeps all limits."""
        if self.architecture is not None:
            return True
        cost = self.cost(candidate.architecture)
        for name in ("parameters", "macs"):
            limit = self.limits.get(name)
            if limit is not None and getattr(cost, name) > limit:
                return False
        for name, predict in PREDICTED.items():
            limit = self.limits.get(name)
            if limit is None:
                continue
            assert self.calibration is not None  # else the space would not have been made
            if predict(self.calibration, candidate.architecture, input_size(candidate.architecture, self.plan)) > limit:
                return False
        return True

    def features(self, candidate: Candidate) -> list[float]:
        """Features of a candidate for a surrogate: its choices, and what they cost.

        Parameters and MACs follow from many choices together, and the score follows them more
        closely than any single choice. A factor of three weighs as much as another choice.
        """
        cost = self.cost(candidate.architecture)
        return [*self.space.encode(candidate.config), math.log(cost.parameters, 3), math.log(cost.macs, 3)]
