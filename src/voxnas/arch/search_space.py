"""A search space: conditional parameters, and the architectures of their configurations.

A configuration is a mapping of the active parameters to values. Spaces are read from YAML files
(``config/search_spaces``) that a user can copy and narrow. The family of a space (:mod:`voxnas.arch.families`) defines
its parameters and the architecture of a configuration; the operations on configurations are defined here.
"""

import itertools
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Self

import numpy as np

from voxnas.arch.baselines import BASELINES, vector_loss
from voxnas.arch.conditions import Config, configs, count, in_order
from voxnas.arch.families import FAMILIES
from voxnas.arch.families.space import ALWAYS, Alternatives, FamilySpace
from voxnas.arch.parameters import RECIPE_VALUES, Parameter, Value, ValueSet
from voxnas.arch.views import with_view
from voxnas.core.architecture import Architecture, Recipe, network_key
from voxnas.core.errors import UserError, suggest
from voxnas.core.plan import Plan
from voxnas.core.settings import LimitSettings

MOST_ENUMERATED = 1_000_000


def family_spaces() -> dict[str, FamilySpace]:
    """The search spaces of all families, sorted by the name that a file gives as ``family``."""
    spaces = [space for name in FAMILIES for space in FAMILIES[name].spaces]
    return {space.name: space for space in sorted(spaces, key=lambda space: space.name)}


class SearchSpace:
    """A set of parameters, some of which are active only for some values of others.

    Use :meth:`from_dict` or :meth:`recipes_of`.

    Parameters
    ----------
    family : FamilySpace
        The rules of the family that the parameters build.
    structure : mapping
        The family's structural keys.
    parameters : sequence of Parameter
        In any order; they are kept with conditions first, then by name, so that the order of a
        file's lines has no effect.
    needs : mapping of target to alternatives
        Targets that must be set, and when (see :meth:`voxnas.arch.families.space.FamilySpace.required`).
    source : str
        Name for errors.
    """

    def __init__(
        self,
        family: FamilySpace,
        structure: Mapping[str, Any],
        parameters: Sequence[Parameter],
        needs: Mapping[str, Alternatives],
        source: str,
    ) -> None:
        self.family, self.structure, self.source = family, structure, source
        self.parameters = in_order(parameters, source)
        self._by_name = {p.name: p for p in self.parameters}
        self._check(needs)
        self.varying = [p for p in self.parameters if not p.fixed and self._reachable(p)]
        self.dim = len(self.varying)
        named = family.levels(structure)
        rest = {p.target for p in self.varying}.difference(*named)
        levels = ({p.name for p in self.varying if p.target in level} for level in (*named, rest))
        self._levels = [level for level in levels if level]

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], source: str = "the search space") -> Self:
        """Read a space from plain data.

        Parameters
        ----------
        raw : mapping
            ``family``, ``parameters`` and the family's structural keys, as in ``config/search_spaces/unet.yaml``.
        source : str
            Where it came from, for errors.

        Raises
        ------
        UserError
            Names the source, the key, its value and what is allowed.
        """
        family, structure, entries = _open(raw, source)
        try:
            domains = {**family.domains(structure), **_recipe_domains(family)}
            entries = {**family.entries(structure), **entries}
            parameters = [Parameter.parse(str(name), entry, domains, source) for name, entry in entries.items()]
            needs = family.required(structure, {p.target for p in parameters})
        except ValueError as error:
            raise UserError(f"{source}: {error}") from error
        recipe = {p.name for p in parameters if p.target in RECIPE_VALUES}
        for p in parameters:
            if p.name in recipe and not p.depends_on <= recipe:
                raise UserError(
                    f"{source}: parameters.{p.name}: when names {', '.join(sorted(p.depends_on - recipe))}",
                    f"a parameter of the recipe can depend only on {', '.join(sorted(recipe))}",
                )
        return cls(family, structure, parameters, {**needs, **_recipe_needs(family)}, source)

    @classmethod
    def recipes_of(cls, raw: Mapping[str, Any], source: str = "the search space") -> Self:
        """The part of a space (raw, of a source) that concerns the recipe, to search one for a given architecture."""
        whole = cls.from_dict(raw, source)
        parameters = [p for p in whole.parameters if p.target in RECIPE_VALUES]
        return cls(whole.family, whole.structure, parameters, _recipe_needs(whole.family), source)

    def _with_ancestors(self, names: Collection[str]) -> list[Parameter]:
        """The named parameters and all parameters on which they depend, in order."""
        found = set(names)
        for p in reversed(self.parameters):
            if p.name in found:
                found |= p.depends_on
        return [p for p in self.parameters if p.name in found]

    def _reachable(self, p: Parameter) -> bool:
        """Whether a parameter is active in any configuration."""
        return any(p.is_active(config) for config in configs(self._with_ancestors(p.depends_on)))

    def _check(self, needs: Mapping[str, Alternatives]) -> None:
        """Raise a UserError unless each required target is always set, and no target is set twice.

        For each target only the combinations of the parameters on which it depends are enumerated, for the combinations
        of all conditions are too many.
        """
        setters: dict[str, list[Parameter]] = {}
        for p in self.parameters:
            setters.setdefault(p.target, []).append(p)
        for target in sorted({*setters, *needs}):
            own, alternatives = setters.get(target, []), needs.get(target, ())
            asked = {q.name for alternative in alternatives for other in alternative for q in setters.get(other, [])}
            for config in configs(self._with_ancestors(asked.union(*(p.depends_on for p in own)))):
                where = ", ".join(f"{k} = {v}" for k, v in config.items()) or "every configuration"
                active = sum(p.is_active(config) for p in own)
                if active > 1:
                    raise UserError(f"{self.source}: {target} is set twice where {where}", "give them a `when` each")
                values = {self._by_name[name].target: value for name, value in config.items()}
                if not active and any(all(values.get(k) in v for k, v in one.items()) for one in alternatives):
                    raise UserError(
                        f"{self.source}: {target} is missing where {where}", f"add it; one value is `{target}: VALUE`"
                    )

    def size(self) -> float:
        """Number of configurations; infinite if a range of numbers is among the parameters."""
        return count(tuple(self.parameters), {})

    def enumerate(self, most: int = MOST_ENUMERATED) -> Iterator[Config]:
        """All configurations of a finite space, each once, in a fixed order.

        Raises
        ------
        UserError
            Before the first configuration, if the space has more than `most`.
        """
        size = self.size()
        if size > most:
            raise UserError(
                f"{self.source}: {size:,.0f} configurations cannot be enumerated"
                if math.isfinite(size)
                else f"{self.source}: a space with a range of numbers cannot be enumerated",
                f"narrow it to at most {most:,}: fix parameters, give choices in place of low and high",
            )
        return configs(self.parameters)

    def from_unit(self, u: Sequence[float]) -> Config:
        """The configuration at a point of the unit cube, such as one of a Sobol sequence.

        Parameters
        ----------
        u : sequence of float, (dim,)
            Entries of inactive parameters have no effect.
        """
        if len(u) != self.dim:
            raise ValueError(f"{len(u)} coordinates for a space of dimension {self.dim}")
        values = {p.name: p.value(float(x)) for p, x in zip(self.varying, u, strict=True)}
        return self._complete(values, None)

    def sample(self, rng: np.random.Generator | int) -> Config:
        """A configuration, uniform over the unit cube, drawn by `rng`, a generator or a seed."""
        return self.from_unit(np.random.default_rng(rng).random(self.dim).tolist())

    def _complete(self, values: Mapping[str, Value], rng: np.random.Generator | None) -> Config:
        """Keep the active parameters of `values`; draw those that are missing."""
        config: Config = {}
        for p in self.parameters:
            if not p.is_active(config):
                continue
            if p.fixed:
                config[p.name] = p.choices[0]
            elif p.name in values:
                config[p.name] = values[p.name]
            else:
                config[p.name] = p.value(0.5 if rng is None else rng.random())
        return config

    def mutate(self, config: Config, rng: np.random.Generator, among: Collection[str] | None = None) -> Config:
        """A neighbour: one or two active parameters (`among` the named ones) changed, newly active ones drawn."""
        free = [p for p in self.varying if p.name in config and (among is None or p.name in among)]
        if not free:
            return dict(config)
        values = dict(config)
        for i in rng.permutation(len(free))[: 1 + int(rng.integers(2))]:
            values[free[i].name] = free[i].mutate(config[free[i].name], rng)
        return self._complete(values, rng)

    def neighbours(self, config: Config, rng: np.random.Generator) -> Iterator[Config]:
        """All configurations that differ in one active parameter and what depends on it (:meth:`Parameter.others`)."""
        for p in self.varying:
            if p.name in config:
                yield from (self._complete({**config, p.name: other}, rng) for other in p.others(config[p.name]))

    def mutate_level(self, config: Config, rng: np.random.Generator) -> Config:
        """A neighbour: a mutation within one level of the family, drawn first (see :meth:`FamilySpace.levels`)."""
        levels = [level for level in self._levels if any(name in config for name in level)]
        return self.mutate(config, rng, levels[rng.integers(len(levels))]) if levels else dict(config)

    def stages(self) -> int:
        """Number of stages of growth: the nodes of a cell; 1 for a family without (see :meth:`FamilySpace.growth`)."""
        return 1 + len(self.family.growth(self.structure))

    def grown(self, config: Config, stage: int, rng: np.random.Generator) -> Config:
        """Leave out the nodes of a configuration that come after a stage, from 0; the last stage leaves out none.

        A value that the space does not allow, such as a missing operation ``zero``, leaves its parameter as it is.
        """
        return self._complete({**config, **self._left_out(stage)}, rng)

    def stage(self, config: Config) -> int:
        """The stage of growth of a configuration: the first that leaves out no more than it lacks already."""
        return next(s for s in range(self.stages()) if self._left_out(s).items() <= config.items())

    def _left_out(self, stage: int) -> Config:
        """Values that leave out all nodes after a stage."""
        absent = {k: v for node in self.family.growth(self.structure)[stage:] for k, v in node.items()}
        return {p.name: absent[p.target] for p in self.parameters if p.contains(absent.get(p.target))}

    def expand(self, config: Config, stage: int, rng: np.random.Generator) -> Config:
        """Add the node of a stage, from 1, to a configuration of the stage before; its operations are drawn."""
        node = self.family.growth(self.structure)[stage - 1]
        kept = {name: value for name, value in config.items() if self._by_name[name].target not in node}
        return self.grown({**self.sample(rng), **kept}, stage, rng)

    def cross(self, a: Mapping[str, Value], b: Mapping[str, Value], rng: np.random.Generator) -> Config:
        """A child: each parameter from one parent or the other (uniform crossover, Syswerda 1989).

        Conditions are kept: where a parameter is active in the child but in one parent only, that parent's value is
        taken; where it is active in neither, it is drawn.
        """
        first = rng.random(len(self.varying)) < 0.5
        values: Config = {}
        for p, take in zip(self.varying, first.tolist(), strict=True):
            one, other = (a, b) if take else (b, a)
            if p.name in one or p.name in other:
                values[p.name] = one[p.name] if p.name in one else other[p.name]
        return self._complete(values, rng)

    def validate(self, config: Mapping[str, Any]) -> None:
        """Check that a configuration belongs to the space; a UserError names the first fault."""
        for name in config:
            if name not in self._by_name:
                raise UserError(f"{self.source}: unknown parameter {name!r}", suggest(name, self._by_name))
        for p in self.parameters:
            if not p.is_active(config):
                if p.name in config:
                    raise UserError(f"{self.source}: {p.name} = {config[p.name]!r} is not active", f"when {p.when}")
            elif p.name not in config:
                raise UserError(f"{self.source}: {p.name} is missing in {dict(config)}")
            elif not p.contains(config[p.name]):
                allowed = list(p.choices) or f"{p.low:g} to {p.high:g}"
                raise UserError(f"{self.source}: {p.name} = {config[p.name]!r} is not allowed", f"allowed: {allowed}")

    def encode(self, config: Mapping[str, Value]) -> list[float]:
        """A vector of fixed length for a surrogate (see :meth:`Parameter.encode`).

        Parameters that cannot vary are left out. Two configurations in both of which a parameter
        is inactive do not differ in it.
        """
        return list(itertools.chain.from_iterable(p.encode(config.get(p.name)) for p in self.varying))

    def embed(self, config: Mapping[str, Value]) -> list[float]:
        """A vector of fixed length whose distances respect conditions (see :meth:`Parameter.embed`)."""
        return list(itertools.chain.from_iterable(p.embed(config.get(p.name)) for p in self.varying))

    def embedded(self) -> list[int]:
        """Index of the parameter of each coordinate of :meth:`embed`."""
        return [i for i, p in enumerate(self.varying) for _ in p.embed(None)]

    def decode(self, config: Config, plan: Plan) -> tuple[Architecture, Recipe]:
        """Build the records that a configuration stands for, on the data of a plan.

        Choices that have no effect there are dropped (stages beyond those that the plan's patch
        allows), so that the configurations that differ only there have equal records and equal keys.

        Raises
        ------
        UserError
            If the plan's task does not fit the family.
        """
        self._check_task(plan)
        values = {k: v for k, v in self._by_target(config).items() if k not in RECIPE_VALUES}
        return with_view(self.family.decode(self.structure, values, plan), plan), self.decode_recipe(config, plan)

    def check_fits(self, plan: Plan) -> None:
        """Refuse data on which no network of the space can be trained.

        Raises
        ------
        UserError
            If the plan's task does not fit the family, or the family does not read the default view of the plan.
        """
        self._check_task(plan)
        view = plan.view
        if view not in self.family.views:
            reads = " or ".join(v or "volumes" for v in self.family.views)
            fitting = [n for n, f in family_spaces().items() if view in f.views and plan.task in f.tasks]
            raise UserError(
                f"{self.source}: family {self.family.name} reads {reads}, and the study searches networks on "
                f"{view or 'volumes'}",
                f"take a space of the family {' or '.join(fitting)}, or change clips.view",
            )

    def _check_task(self, plan: Plan) -> None:
        if plan.task not in self.family.tasks:
            raise UserError(
                f"{self.source}: family {self.family.name} does not fit the task {plan.task}",
                f"{self.family.name} is for {' and '.join(self.family.tasks)}",
            )

    def decode_recipe(self, config: Config, plan: Plan) -> Recipe:
        """The recipe alone; the loss of classification and regression follows from the plan's task."""
        values = {k: v for k, v in self._by_target(config).items() if k in RECIPE_VALUES}
        if plan.task != "segmentation":
            values["loss"] = vector_loss(plan.task)
        return Recipe(**values)

    def key(self, config: Config, plan: Plan) -> str:
        """Identity of the network that a configuration builds: equal for equal networks."""
        return network_key(*self.decode(config, plan))

    def _by_target(self, config: Mapping[str, Value]) -> dict[str, Any]:
        return {self._by_name[name].target: value for name, value in config.items()}

    def nearest(self, recipe: Recipe, architecture: Architecture | None = None) -> Config:
        """The configuration of given records if they are in the space, else one near them."""
        wanted: dict[str, Any] = recipe.plain()
        if architecture is not None:
            wanted |= self.family.values(self.structure, architecture)
        if not any(p.target == "optimizer" and p.contains(recipe.optimizer) for p in self.parameters):
            # The numbers of one optimizer mean nothing to another: the middle of its ranges is nearer.
            wanted = {k: v for k, v in wanted.items() if k not in ("learning_rate", "weight_decay")}
        values = {p.name: p.nearest(wanted[p.target]) for p in self.parameters if p.target in wanted}
        return self._complete(values, None)

    def start(self, plan: Plan, limits: LimitSettings) -> Config:
        """Where a search begins: the nnU-Net plan scaled to the limits (a ResNet for one vector a scan)."""
        architecture, recipe = BASELINES[self.family.start[plan.task]](plan, limits)
        return self.nearest(recipe, architecture)


def _recipe_domains(family: FamilySpace) -> dict[str, ValueSet]:
    """Value sets of the parameters of the recipe; the loss is a parameter only of families for segmentation."""
    return {k: v for k, v in RECIPE_VALUES.items() if k != "loss" or "segmentation" in family.tasks}


def _recipe_needs(family: FamilySpace) -> dict[str, Alternatives]:
    """Required parameters of the recipe; the loss is required only of families for segmentation alone."""
    names = {"optimizer", "learning_rate", "weight_decay", "schedule", "spatial", "intensity"}
    return dict.fromkeys(names | {"loss"} if family.tasks == ("segmentation",) else names, ALWAYS)


def _open(raw: Any, source: str) -> tuple[FamilySpace, dict[str, Any], Mapping[str, Any]]:
    """Rules of the family, structural keys and entries of a space's plain data."""
    if not isinstance(raw, Mapping):
        raise UserError(f"{source}: {raw!r} is not a mapping", "it needs the keys family and parameters")
    name, entries = raw.get("family"), raw.get("parameters")
    families = family_spaces()
    if not isinstance(name, str) or name not in families:
        raise UserError(f"{source}: family = {name!r}", f"allowed: {', '.join(families)}")
    family = families[name]
    keys = ("family", "parameters", *family.keys)
    for key in raw:
        if key not in keys:
            raise UserError(f"{source}: unknown key {key!r}", suggest(str(key), keys))
    if not isinstance(entries, Mapping):
        raise UserError(f"{source}: parameters = {entries!r}", "it must be a mapping of names to values")
    return family, {key: raw[key] for key in family.keys if key in raw}, entries
