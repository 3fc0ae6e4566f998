"""One parameter of a search space: its values, its condition, its coordinate in the unit cube."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, get_args

import numpy as np

from voxnas.core.architecture import Recipe
from voxnas.core.errors import UserError, suggest

Value = bool | int | float | str

STEP = 0.15  # spread of a mutation of a number, as a share of its range
KEYS = ("choices", "low", "high", "log", "integer", "when", "sets")


def _recipe_names(field: str) -> tuple[str, ...]:
    return get_args(Recipe.model_fields[field].annotation)


RANGES = {"number": "a number", "integer": "an integer", "odd": "an odd number"}
ValueSet = tuple  # names, truth values, or a set of numbers, integers or odd numbers as below


def numbers(low: float, high: float) -> ValueSet:
    """All numbers from `low` to `high`."""
    return ("number", low, high)


def integers(low: int, high: int) -> ValueSet:
    """All integers from `low` to `high`."""
    return ("integer", low, high)


def odd(low: int, high: int) -> ValueSet:
    """All odd numbers from `low` to `high`."""
    return ("odd", low, high)


# Allowed values of each part of a recipe.
RECIPE_VALUES: dict[str, ValueSet] = {
    "optimizer": _recipe_names("optimizer"),
    "learning_rate": numbers(1e-7, 10),
    "weight_decay": numbers(0, 1),
    "schedule": _recipe_names("schedule"),
    "averaging": numbers(0, 1),
    "loss": ("dice_ce", "dice_focal", "jaccard_ce"),
    "spatial": numbers(0, 1),
    "deformation": _recipe_names("deformation"),
    "intensity": numbers(0, 1),
    "mirror": _recipe_names("mirror"),
}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _allowed(domain: ValueSet) -> str:
    if domain[0] in RANGES:
        return f"{RANGES[domain[0]]} from {domain[1]:g} to {domain[2]:g}"
    return "one of " + ", ".join(str(value).lower() if isinstance(value, bool) else str(value) for value in domain)


def _fits(value: Any, domain: ValueSet) -> bool:
    if domain[0] not in RANGES:
        return any(value == known and type(value) is type(known) for known in domain)
    if not _is_number(value) or not domain[1] <= value <= domain[2]:
        return False
    return domain[0] == "number" or (value == int(value) and (domain[0] == "integer" or value % 2 == 1))


@dataclass(frozen=True)
class Parameter:
    """A parameter with either `choices` or a range from `low` to `high`.

    Attributes
    ----------
    name : str
        Name in the file and in configurations.
    target : str
        The part of the architecture or recipe that it sets: the entry ``sets`` of the file, by default the name.
    choices : tuple
        Values to choose from, in the file's order; empty for a range.
    low, high : float
        Ends of the range, included.
    log, integer : bool
        Whether the range is logarithmic, and whether its values are integers.
    when : tuple of mappings of name to tuple of values
        The parameter is active only where, in one of the mappings, each named parameter is active and has one
        of the values; always active where there is no mapping.
    """

    name: str
    target: str
    choices: tuple[Value, ...]
    low: float
    high: float
    log: bool
    integer: bool
    when: tuple[Mapping[str, tuple[Value, ...]], ...]

    @classmethod
    def parse(cls, name: str, raw: Any, domains: Mapping[str, ValueSet], source: str) -> Self:
        """Read the entry `raw` of the parameter `name` in a file; a scalar is a fixed value.

        Raises
        ------
        UserError
            Names the source, the key and what is allowed.
        """
        where = f"{source}: parameters.{name}"
        raw = raw if isinstance(raw, Mapping) else {"choices": raw if isinstance(raw, list | tuple) else [raw]}
        for key in raw:
            if key not in KEYS:
                raise UserError(f"{where}: unknown key {key!r}", suggest(key, KEYS))
        target = raw.get("sets", name)
        if target not in domains:
            what = f"sets = {target!r}" if "sets" in raw else "unknown parameter"
            raise UserError(f"{where}: {what}", suggest(target, domains))
        domain = domains[target]
        if ("choices" in raw) == ("low" in raw or "high" in raw):
            raise UserError(f"{where}: {dict(raw)}", "give either choices or low and high")
        choices, low, high = (), 0.0, 0.0
        if "choices" in raw:
            choices = tuple(raw["choices"]) if isinstance(raw["choices"], list | tuple) else (raw["choices"],)
            if not choices or len(set(map(repr, choices))) < len(choices):
                raise UserError(f"{where}: choices = {list(choices)}", "give at least one value, none of them twice")
            values: tuple = choices
        else:
            if domain[0] not in ("number", "integer"):
                raise UserError(f"{where}: low and high do not fit", f"give choices; allowed: {_allowed(domain)}")
            low, high = raw.get("low"), raw.get("high")
            values = (low, high)
        for value in values:
            if not _fits(value, domain):
                hint = "; in YAML write 1.0e-3, not 1e-3" if re.fullmatch(r"[\d.]+e[-+]?\d+", str(value)) else ""
                raise UserError(f"{where}: {value!r} is not allowed", f"allowed: {_allowed(domain)}{hint}")
        if "choices" not in raw and not low < high:
            raise UserError(f"{where}: low = {low} and high = {high}", "low must be below high")
        log = bool(raw.get("log", False))
        if log and "choices" not in raw and low <= 0:
            raise UserError(f"{where}: low = {low}", "a logarithmic range begins above 0")
        when = raw.get("when") or []
        alternatives = [when] if isinstance(when, Mapping) else when
        if not isinstance(alternatives, list | tuple) or not all(isinstance(a, Mapping) for a in alternatives):
            raise UserError(f"{where}: when = {when!r}", "write it as {other parameter: value or list of values}")
        conditions = tuple(
            {k: tuple(v) if isinstance(v, list | tuple) else (v,) for k, v in alternative.items()}
            for alternative in alternatives
        )
        integer = bool(raw.get("integer", False)) or domain[0] == "integer"
        return cls(name, target, choices, low, high, log, integer, conditions)

    @property
    def fixed(self) -> bool:
        """Whether the parameter has a single value."""
        return len(self.choices) == 1

    @property
    def depends_on(self) -> frozenset[str]:
        """Names of the parameters in the conditions."""
        return frozenset(name for alternative in self.when for name in alternative)

    def is_active(self, config: Mapping[str, Any]) -> bool:
        """Whether the conditions hold in `config`, in which the parameters of the conditions are already decided."""
        return not self.when or any(
            all(name in config and config[name] in values for name, values in alternative.items())
            for alternative in self.when
        )

    def all_values(self) -> tuple[Value, ...]:
        """All values of a parameter with finitely many values."""
        return self.choices or tuple(range(int(self.low), int(self.high) + 1))

    @property
    def count(self) -> float:
        """Number of values; infinite for a range of numbers."""
        if self.choices:
            return len(self.choices)
        return self.high - self.low + 1 if self.integer else math.inf

    @property
    def ordinal(self) -> bool:
        """Whether the values have an order (numbers, and the two truth values)."""
        return not self.choices or all(_is_number(v) or isinstance(v, bool) for v in self.choices)

    def value(self, u: float) -> Value:
        """The value at `u` in [0, 1]; numbers of a range have three significant digits."""
        if self.choices:
            return self.choices[min(int(u * len(self.choices)), len(self.choices) - 1)]
        if self.integer and not self.log:
            return min(int(self.low + u * (self.high - self.low + 1)), int(self.high))
        if self.log:
            value = math.exp(math.log(self.low) + u * (math.log(self.high) - math.log(self.low)))
        else:
            value = self.low + u * (self.high - self.low)
        value = round(value) if self.integer else float(f"{value:.3g}")
        return type(value)(min(max(value, self.low), self.high))

    def position(self, value: Value) -> float:
        """Coordinate of a value in [0, 1]: its rank among the choices, or its position on the scale of the range."""
        if self.choices:
            return self.choices.index(value) / max(len(self.choices) - 1, 1)
        if self.log:
            return math.log(float(value) / self.low) / math.log(self.high / self.low)
        return (float(value) - self.low) / (self.high - self.low)

    def contains(self, value: Any) -> bool:
        """Whether the parameter has this value."""
        if self.choices:
            return any(value == v and isinstance(value, bool) == isinstance(v, bool) for v in self.choices)
        return _is_number(value) and self.low <= value <= self.high and (not self.integer or isinstance(value, int))

    def encode(self, value: Value | None) -> list[float]:
        """Encode a value for a surrogate; None (inactive) is the middle.

        Ordered values are one number in [0, 1]. Names are one-hot, scaled so that two different
        names are at distance 1; inactive is all zero.
        """
        if self.ordinal:
            return [0.5 if value is None else self.position(value)]
        return [math.sqrt(0.5) if choice == value else 0.0 for choice in self.choices]

    def embed(self, value: Value | None) -> list[float]:
        """Coordinates of a value for a distance that respects conditions; None (inactive) is the origin.

        As :meth:`encode`, but the ordered values of a parameter with a condition lie on a quarter of a circle around
        the origin (Swersky et al. 2014): its ends are at distance 1, and all active values are as far from inactive.
        """
        if not self.when or not self.ordinal:
            return self.encode(value)
        if value is None:
            return [0.0, 0.0]
        angle = self.position(value) * math.pi / 2
        return [math.sqrt(0.5) * math.cos(angle), math.sqrt(0.5) * math.sin(angle)]

    def others(self, value: Value) -> list[Value]:
        """Return all other choices; of a range the values at a tenth and at a third of it to both sides."""
        if self.choices:
            return [choice for choice in self.choices if choice != value]
        places = [self.position(value) + shift for shift in (-0.33, -0.1, 0.1, 0.33)]
        found = dict.fromkeys(self.value(u) for u in places if 0 <= u <= 1)
        return [other for other in found if other != value]

    def nearest(self, value: Value) -> Value:
        """The nearest value of the parameter to any `value`; for an unknown name the first choice."""
        if self.contains(value):
            return value
        if not self.choices:
            clipped = min(max(float(value), self.low), self.high)
            return round(clipped) if self.integer else clipped
        if _is_number(value) and all(_is_number(choice) for choice in self.choices):
            return min(self.choices, key=lambda choice: (abs(float(choice) - float(value)), choice))
        return self.choices[0]

    def mutate(self, value: Value, rng: np.random.Generator) -> Value:
        """A different value: mostly a neighbour of `value` if the values are ordered, otherwise any."""
        if self.choices:
            place = self.choices.index(value)
            others = [i for i in range(len(self.choices)) if i != place]
            if self.ordinal and rng.random() < 0.75:
                others = [i for i in others if abs(i - place) == 1]
            return self.choices[others[rng.integers(len(others))]]
        while True:
            u = self.position(value) + rng.normal(0, STEP)
            other = self.value(min(max(u, 0.0), 1.0))
            if other != value:
                return other
