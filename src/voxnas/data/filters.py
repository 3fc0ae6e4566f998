"""Filters by entity: which images of a BIDS data set a study wants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from voxnas.core.errors import UserError, suggest
from voxnas.data.bids_names import parse_name, same_value

Filters = Mapping[str, tuple[str, ...] | str]


def filter_images(images: Sequence[Path], filters: Filters) -> list[Path]:
    """The images whose entities are as the filters say.

    Parameters
    ----------
    images : sequence of path
        Images of one suffix.
    filters : mapping of entity to value or values
        ``{"task": "rest", "run": ("1", "2"), "acq": ""}``: one of the values; an empty value asks for
        images without the entity. A participant is named with or without ``sub-``.

    Raises
    ------
    UserError
        If a filter leaves nothing: names the filter, and the values that there are.
    """
    if not filters:
        return list(images)
    left = [(path, parse_name(path).entities) for path in images]
    for key, wanted in filters.items():
        values = (wanted,) if isinstance(wanted, str) else tuple(wanted)
        values = tuple(v.removeprefix(f"{key}-") for v in values) or ("",)
        fitting = [(p, e) for p, e in left if any(same_value(e.get(key, ""), v) for v in values)]
        if not fitting:
            _nothing_left(key, values, [e for _, e in left])
        left = fitting
    return [path for path, _ in left]


def _nothing_left(key: str, values: tuple[str, ...], entities: list[dict[str, str]]) -> None:
    """Raise with what there is in place of what was asked for."""
    text = f"data.filters.{key} = {', '.join(map(repr, values))}"
    known = {k for e in entities for k in e}
    if key not in known:
        raise UserError(f"{text}: no image has the entity {key!r}", suggest(key, known))
    there = {e.get(key, "") for e in entities}
    shown = {v or "'' (without it)" for v in there}
    raise UserError(f"{text}: no image of the {len(entities)} that the other filters leave has it",
                    suggest(values[0], shown))  # fmt: skip
