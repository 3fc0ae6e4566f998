"""Registry of search strategies with their kinds and options; :mod:`voxnas.search` implements them."""

import re
from typing import Any, ClassVar, Literal

from voxnas.core.record import Record
from voxnas.core.registry import Registry


class StrategyOptions(Record):
    """Base of all strategies; the fields are the options ``search.options.<name>`` of a study.

    Each field has a default and a description for the schema and the key table.
    """

    kind: ClassVar[Literal["step", "promotion", "job"]]
    """`step`: proposes single steps; `promotion`: decides which trials continue; `job`: a whole search in one job."""

    uses_prior: ClassVar[bool] = False
    """Whether the strategy uses the trials of earlier studies (``search.prior``)."""


STRATEGIES: Registry[type[StrategyOptions]] = Registry(
    "strategy", "voxnas.proposers", builtin="voxnas.search.strategies"
)


def options_of(name: str, given: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the options of a strategy as plain data, completed by defaults."""
    return STRATEGIES[name].model_validate(given.get(name, {})).plain()


def search_name(method: str, run: int) -> str:
    """Name of a run of a method, from run 0: `bayesian`, `bayesian-s2`, `bayesian-s3` ..."""
    return method if run == 0 else f"{method}-s{run + 1}"


def method_of(search: str) -> str:
    """Method of a search by its name (see :func:`search_name`)."""
    return re.sub(r"-s\d+$", "", search)


def is_job(name: str) -> bool:
    """Whether a method is a single job instead of a chain of steps."""
    return STRATEGIES[name].kind == "job"


def uses_prior(name: str) -> bool:
    """Whether a method uses the trials of earlier studies."""
    return STRATEGIES[name].uses_prior
