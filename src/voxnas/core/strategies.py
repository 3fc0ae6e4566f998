"""The table of search strategies: their names, kinds and options. What they do is in :mod:`voxnas.search`."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from voxnas.core.record import Record
from voxnas.core.registry import Registry


class StrategyOptions(Record):
    """Base of all strategies, whose fields are their options: ``search.options.<name>`` of a study.

    Each field has a default and a description, which the schema and the key table show.
    """

    kind: ClassVar[Literal["step", "promotion", "job"]]
    """Whether it proposes one step, decides which trials continue, or is a whole search in one job."""


STRATEGIES: Registry[type[StrategyOptions]] = Registry(
    "strategy", "voxnas.proposers", builtin="voxnas.search.strategies"
)


def options_of(name: str, given: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All options of a strategy as plain data: the given ones, and defaults."""
    return STRATEGIES[name].model_validate(given.get(name, {})).plain()


def is_job(name: str) -> bool:
    """Whether a method is a single job, and no chain of steps."""
    return STRATEGIES[name].kind == "job"
