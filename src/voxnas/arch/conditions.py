"""Sets of parameters with conditions: their order, all their combinations, and the number of combinations."""

from collections import Counter
from collections.abc import Iterator, Sequence

from voxnas.arch.parameters import Parameter, Value
from voxnas.core.errors import UserError, suggest

Config = dict[str, Value]


def in_order(parameters: Sequence[Parameter], source: str) -> list[Parameter]:
    """Sort parameters by dependency, then by name; `source` names the file in an error.

    Raises
    ------
    UserError
        If a condition names nothing, a range, or in the end the parameter itself.
    """
    waiting = sorted(parameters, key=lambda p: p.name)
    known = {p.name: p for p in waiting}
    for p in waiting:
        for name in sorted(p.depends_on):
            where = f"{source}: parameters.{p.name}: when names {name!r}"
            if name not in known:
                raise UserError(where, suggest(name, known))
            if not known[name].choices:
                raise UserError(f"{where}, which is a range", "a condition needs a parameter with choices")
    ordered: list[Parameter] = []
    done: set[str] = set()
    while waiting:
        ready = [p for p in waiting if p.depends_on <= done]
        if not ready:
            raise UserError(f"{source}: {', '.join(p.name for p in waiting)} depend on each other", "remove a `when`")
        ordered += ready
        done |= {p.name for p in ready}
        waiting = [p for p in waiting if p.name not in done]
    return ordered


def configs(parameters: Sequence[Parameter]) -> Iterator[Config]:
    """All combinations of parameters that stand in order, with all on which they depend."""

    def extend(config: Config, at: int) -> Iterator[Config]:
        if at == len(parameters):
            yield config
        elif not parameters[at].is_active(config):
            yield from extend(config, at + 1)
        else:
            for value in parameters[at].all_values():
                yield from extend({**config, parameters[at].name: value}, at + 1)

    return extend({}, 0)


def count(parameters: Sequence[Parameter], decided: Config) -> float:
    """Number of combinations of parameters, given those decided on which they depend.

    Parameters that have nothing to do with each other are counted apart and multiplied. Of those that have, the
    first is decided, once for all its values on which the same conditions hold: without this a space in which
    every block has a condition of its own would take longer to count than to search.
    """
    total: float = 1
    for first, *rest in _components(parameters):
        if not first.is_active(decided):
            total *= count(rest, decided)
        elif not rest:
            total *= first.count
        else:
            like: Counter[tuple[bool, ...]] = Counter()
            example: dict[tuple[bool, ...], Value] = {}
            conditions = [a[first.name] for p in rest for a in p.when if first.name in a]
            for value in first.choices:
                holds = tuple(value in named for named in conditions)
                like[holds] += 1
                example[holds] = value
            total *= sum(n * count(rest, {**decided, first.name: example[holds]}) for holds, n in like.items())
    return total


def _components(parameters: Sequence[Parameter]) -> list[list[Parameter]]:
    """Connected groups of parameters: no condition relates two groups; each group keeps the given order."""
    group = {p.name: {p.name} for p in parameters}
    for p in parameters:
        for name in p.depends_on & group.keys():
            merged = group[p.name] | group[name]
            group |= dict.fromkeys(merged, merged)
    found = {id(members): members for members in group.values()}
    return [[p for p in parameters if p.name in members] for members in found.values()]
