"""A search space: conditional parameters, and what each configuration builds.

A configuration is a mapping of the active parameters to values. Spaces are read from YAML files
(``config/search_spaces``) that a user can copy and narrow.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from voxnas.core.architecture import CNN, Recipe, UNet
from voxnas.core.baselines import BASELINES, usable_stages, vector_loss
from voxnas.core.errors import UserError
from voxnas.core.parameters import ARCHITECTURE_DOMAINS, RECIPE_DOMAINS, Parameter, Value, nearest_name

Config = dict[str, Value]

START = {"unet": "nnunet-small", "cnn": "resnet"}  # the baseline at which a search of the family begins


class SearchSpace:
    """A set of parameters, some of which are active only for some values of others.

    Use :meth:`from_dict` or :meth:`recipes_of`.

    Parameters
    ----------
    family : str
        ``unet`` or ``cnn``.
    parameters : sequence of Parameter
        In any order; they are kept with conditions first, then by name, so that the order of a
        file's lines has no effect.
    domains : mapping
        What the parameters may set.
    source : str
        Name for errors.
    """

    def __init__(self, family: str, parameters: Sequence[Parameter], domains: Mapping[str, tuple], source: str) -> None:
        self.family, self.source = family, source
        self.parameters = _ordered(parameters, source)
        self._by_name = {p.name: p for p in self.parameters}
        names = {name for p in self.parameters for name in p.when}
        self._parents = [p for p in self.parameters if p.name in names]
        reachable = self._check(domains)
        self._varying = [p for p in self.parameters if not p.fixed and p.name in reachable]
        self.dim = len(self._varying)

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any], source: str = "the search space") -> SearchSpace:
        """Read a space from plain data.

        Parameters
        ----------
        raw : mapping
            ``family`` and ``parameters``, as in ``config/search_spaces/unet.yaml``.
        source : str
            Where it came from, for errors.

        Raises
        ------
        UserError
            Names the source, the key, its value and what is allowed.
        """
        family, entries = _open(raw, source)
        domains = {**ARCHITECTURE_DOMAINS[family], **RECIPE_DOMAINS}
        if family == "cnn":
            del domains["loss"]  # the task decides it
        parameters = [Parameter.parse(str(name), entry, domains, source) for name, entry in entries.items()]
        recipe = {p.name for p in parameters if p.target in RECIPE_DOMAINS}
        for p in parameters:
            if p.name in recipe and not set(p.when) <= recipe:
                raise UserError(
                    f"{source}: parameters.{p.name}: when = {dict(p.when)}",
                    f"a parameter of the recipe can depend only on {', '.join(sorted(recipe))}",
                )
        return cls(family, parameters, domains, source)

    @classmethod
    def recipes_of(cls, raw: Mapping[str, Any], source: str = "the search space") -> SearchSpace:
        """The part of a space that concerns the recipe, to search one for a given architecture."""
        whole = cls.from_dict(raw, source)
        domains = {k: v for k, v in RECIPE_DOMAINS.items() if k != "loss" or whole.family == "unet"}
        return cls(whole.family, [p for p in whole.parameters if p.target in domains], domains, source)

    def _check(self, domains: Mapping[str, tuple]) -> set[str]:
        """Names of the parameters that can be active; a UserError unless everything is always set once."""
        reachable: set[str] = set()
        for parents in self._parent_configs():
            active = [p for p in self.parameters if _is_active(p, parents)]
            reachable |= {p.name for p in active}
            targets = [p.target for p in active]
            # A block on which nothing depends can be any of its choices.
            blocks = {
                v
                for p in active
                if p.target == "block"
                for v in ([parents[p.name]] if p.name in parents else p.choices)
            }
            for name in domains:
                where = ", ".join(f"{k} = {v}" for k, v in parents.items()) or "every configuration"
                if targets.count(name) > 1:
                    raise UserError(f"{self.source}: {name} is set twice where {where}", "give them a `when` each")
                if name not in targets and not (name == "expansion" and "inverted" not in blocks):
                    raise UserError(
                        f"{self.source}: {name} is missing where {where}", f"add it; one value is `{name}: VALUE`"
                    )
        return reachable

    def _parent_configs(self) -> Iterator[Config]:
        """All combinations of the parameters on which others depend."""

        def extend(config: Config, rest: list[Parameter]) -> Iterator[Config]:
            if not rest:
                yield config
            elif not _is_active(rest[0], config):
                yield from extend(config, rest[1:])
            else:
                for value in rest[0].choices:
                    yield from extend({**config, rest[0].name: value}, rest[1:])

        return extend({}, self._parents)

    def size(self) -> float:
        """Number of configurations; infinite if a range of numbers is among the parameters."""
        total: float = 0
        for parents in self._parent_configs():
            product: float = 1
            for p in self.parameters:
                if p.name not in parents and _is_active(p, parents):
                    product *= p.count
            total += product
        return total

    def from_unit(self, u: Sequence[float]) -> Config:
        """The configuration at a point of the unit cube, such as one of a Sobol sequence.

        Parameters
        ----------
        u : sequence of float, (dim,)
            Entries of inactive parameters have no effect.
        """
        if len(u) != self.dim:
            raise ValueError(f"{len(u)} coordinates for a space of dimension {self.dim}")
        values = {p.name: p.value(float(x)) for p, x in zip(self._varying, u, strict=True)}
        return self._complete(values, None)

    def sample(self, rng: np.random.Generator) -> Config:
        """A configuration, uniform over the unit cube."""
        return self.from_unit(rng.random(self.dim).tolist())

    def _complete(self, values: Mapping[str, Value], rng: np.random.Generator | None) -> Config:
        """Keep the active parameters of `values`; draw those that are missing."""
        config: Config = {}
        for p in self.parameters:
            if not _is_active(p, config):
                continue
            if p.fixed:
                config[p.name] = p.choices[0]
            elif p.name in values:
                config[p.name] = values[p.name]
            else:
                config[p.name] = p.value(0.5 if rng is None else rng.random())
        return config

    def mutate(self, config: Config, rng: np.random.Generator) -> Config:
        """A neighbour: one or two active parameters changed, newly active ones drawn."""
        free = [p for p in self._varying if p.name in config]
        if not free:
            return dict(config)
        values = dict(config)
        for i in rng.permutation(len(free))[: 1 + int(rng.integers(2))]:
            values[free[i].name] = free[i].mutate(config[free[i].name], rng)
        return self._complete(values, rng)

    def validate(self, config: Mapping[str, Any]) -> None:
        """Check that a configuration belongs to the space; a UserError names what does not."""
        for name in config:
            if name not in self._by_name:
                raise UserError(f"{self.source}: unknown parameter {name!r}", nearest_name(name, self._by_name))
        for p in self.parameters:
            if not _is_active(p, config):
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
        return list(itertools.chain.from_iterable(p.encode(config.get(p.name)) for p in self._varying))

    def decode(self, config: Config, plan: Mapping[str, Any]) -> tuple[UNet | CNN, Recipe]:
        """Build the records that a configuration stands for, on the data of a plan.

        Stages beyond those that the plan's patch allows are cut off, so that the configurations
        that differ only there have equal records and equal keys. Widths are even numbers.

        Raises
        ------
        UserError
            If the plan's task does not fit the family.
        """
        if (plan["task"] == "segmentation") != (self.family == "unet"):
            raise UserError(
                f"{self.source}: family {self.family} does not fit the task {plan['task']}",
                "unet is for segmentation, cnn for classification and regression",
            )
        values = self._by_target(config)
        stages = min(int(values["stages"]), usable_stages(plan))
        base = int(values["base_width"])
        widths = [base * min(values["growth"] ** i, values["widest"]) for i in range(stages)]
        shared = {
            "in_channels": plan["channels"],
            "out_channels": plan["outputs"],
            "widths": [max(2, 2 * round(width / 2)) for width in widths],
            "blocks": [values["top_blocks"], *[values["blocks"]] * (stages - 1)],
            "strides": plan["strides"][:stages],
            "kernels": [[1 if k == 1 else values["kernel"] for k in kernel] for kernel in plan["kernels"][:stages]],
            "block": values["block"],
            "expansion": values.get("expansion", 1),
            "norm": values["norm"],
            "activation": values["activation"],
            "downsample": values["downsample"],
        }
        architecture: UNet | CNN
        if self.family == "unet":
            architecture = UNet(
                **shared,
                decoder_blocks=[values["top_blocks"], *[values["decoder_blocks"]] * (stages - 2)][: stages - 1],
                deep_supervision=values["deep_supervision"],
            )
        else:
            architecture = CNN(**shared, head_width=values["head_width"], dropout=values["dropout"])
        return architecture, self.decode_recipe(config, plan)

    def decode_recipe(self, config: Config, plan: Mapping[str, Any]) -> Recipe:
        """The recipe alone; the loss of classification and regression follows from the plan's task."""
        values = {k: v for k, v in self._by_target(config).items() if k in RECIPE_DOMAINS}
        return Recipe(**{"loss": vector_loss(plan["task"]), **values})

    def _by_target(self, config: Mapping[str, Value]) -> dict[str, Any]:
        return {self._by_name[name].target: value for name, value in config.items()}

    def nearest(self, recipe: Recipe, architecture: UNet | CNN | None = None) -> Config:
        """The configuration of given records if they are in the space, else one near them."""
        wanted: dict[str, Any] = recipe.plain()
        if architecture is not None:
            widths = architecture.widths
            wanted |= architecture.plain()
            wanted |= {
                "stages": len(widths),
                "base_width": widths[0],
                "growth": widths[1] / widths[0] if len(widths) > 1 else 2.0,
                "widest": widths[-1] / widths[0],
                "top_blocks": architecture.blocks[0],
                "blocks": architecture.blocks[-1],
                "kernel": max(architecture.kernels[0]),
                "block": architecture.block[-1],
                "decoder_blocks": wanted.get("decoder_blocks", [1])[-1],
            }
        if not any(p.target == "optimizer" and p.contains(recipe.optimizer) for p in self.parameters):
            # The numbers of one optimizer mean nothing to another: the middle of its ranges is nearer.
            wanted = {k: v for k, v in wanted.items() if k not in ("learning_rate", "weight_decay")}
        values = {p.name: p.nearest(wanted[p.target]) for p in self.parameters if p.target in wanted}
        return self._complete(values, None)

    def start(self, plan: Mapping[str, Any], limits: Mapping[str, Any]) -> Config:
        """Where a search begins: the nnU-Net plan scaled to the limits (a ResNet for the cnn family)."""
        architecture, recipe = BASELINES[START[self.family]](plan, limits)
        assert isinstance(architecture, UNet | CNN)
        return self.nearest(recipe, architecture)


def _open(raw: Any, source: str) -> tuple[str, Mapping[str, Any]]:
    """Family and entries of a space's plain data."""
    if not isinstance(raw, Mapping):
        raise UserError(f"{source}: {raw!r} is not a mapping", "it needs the keys family and parameters")
    for key in raw:
        if key not in ("family", "parameters"):
            raise UserError(f"{source}: unknown key {key!r}", nearest_name(str(key), ("family", "parameters")))
    family, entries = raw.get("family"), raw.get("parameters")
    if family not in ARCHITECTURE_DOMAINS:
        raise UserError(f"{source}: family = {family!r}", f"allowed: {', '.join(ARCHITECTURE_DOMAINS)}")
    if not isinstance(entries, Mapping):
        raise UserError(f"{source}: parameters = {entries!r}", "it must be a mapping of names to values")
    return family, entries


def _ordered(parameters: Sequence[Parameter], source: str) -> list[Parameter]:
    """Each parameter after those on which it depends, else by name."""
    waiting = sorted(parameters, key=lambda p: p.name)
    known = {p.name: p for p in waiting}
    for p in waiting:
        for name in p.when:
            where = f"{source}: parameters.{p.name}: when names {name!r}"
            if name not in known:
                raise UserError(where, nearest_name(name, known))
            if not known[name].choices:
                raise UserError(f"{where}, which is a range", "a condition needs a parameter with choices")
    ordered: list[Parameter] = []
    while waiting:
        ready = [p for p in waiting if set(p.when) <= {q.name for q in ordered}]
        if not ready:
            raise UserError(f"{source}: {', '.join(p.name for p in waiting)} depend on each other", "remove a `when`")
        ordered += ready
        waiting = [p for p in waiting if p not in ready]
    return ordered


def _is_active(p: Parameter, config: Mapping[str, Any]) -> bool:
    """Whether a parameter's conditions hold; those on which it depends must be decided in `config`."""
    return all(name in config and config[name] in values for name, values in p.when.items())
