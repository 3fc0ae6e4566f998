"""Selection of the images of a BIDS data set by entity."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from voxnas.core.errors import UserError, suggest
from voxnas.data.bids_names import parse_name, same_value

Filters = Mapping[str, tuple[str, ...] | str]


def filter_images(images: Sequence[Path], filters: Filters) -> list[Path]:
    """Return the images whose entities match the filters.

    Parameters
    ----------
    images : sequence of path
        Images of one suffix.
    filters : mapping of entity to value or values
        ``{"task": "rest", "run": ("1", "2"), "acq": ""}``: one of the values; an empty value selects images without
        the entity. A participant is given with or without ``sub-``.

    Raises
    ------
    UserError
        If no image passes a filter: names the filter, and the existing values.
    """
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
    """Raise an error that lists the existing entities, or the existing values of the entity."""
    text = f"data.filters.{key} = {', '.join(map(repr, values))}"
    known = {k for e in entities for k in e}
    if key not in known:
        raise UserError(f"{text}: no image has the entity {key!r}", suggest(key, known))
    shown = {e.get(key) or "'' (without it)" for e in entities}
    raise UserError(f"{text}: none of the {len(entities)} images that pass the other filters has it",
                    suggest(values[0], shown))  # fmt: skip
