"""Tables of participants and of their sessions, with the targets of prediction."""

import math
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError, suggest
from voxnas.io.tables import read_table

MISSING = {"", "n/a", "na", "nan", "#n/a", "null"}  # in lower case
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
SITE_COLUMNS = ("site", "site_id")

Row = dict[str, str | None]


def text_or_none(cell: object) -> str | None:
    """Return the text of a cell without surrounding spaces; None if it is missing."""
    text = "" if pd.isna(cell) else str(cell).strip()  # type: ignore[call-overload]
    return None if text.lower() in MISSING else text


def number_or_none(text: str | None) -> float | None:
    """Return the finite number in a text; None for other texts, also for ``1_000``, which Python's float accepts."""
    number = float(text) if text and NUMBER.fullmatch(text) else math.nan
    return number if math.isfinite(number) else None


def read_participants(root: Path) -> dict[str, Row]:
    """Read the rows of participants.tsv by participant identifier; values are texts, or None if missing."""
    return read_rows(root / "participants.tsv", "participant_id", "sub-")


def read_sessions(root: Path, participant: str) -> dict[str, Row]:
    """Read the rows of a participant's sessions.tsv by session label, like :func:`read_participants`."""
    rows = read_rows(root / participant / f"{participant}_sessions.tsv", "session_id", "ses-")
    return {name.removeprefix("ses-"): row for name, row in rows.items()}


def read_rows(path: Path, key: str, prefix: str = "") -> dict[str, Row]:
    """Read the rows of a table by the column `key`, whose values get the `prefix`; empty without the file."""
    if not path.is_file():
        return {}
    rows: dict[str, Row] = {}
    for row in read_table(path, {key: str}).to_dict("records"):
        values: Row = {str(k): text_or_none(v) for k, v in row.items()}
        name = prefix + str(values.pop(key)).removeprefix(prefix)
        if rows.setdefault(name, values) != values:
            raise UserError(f"{path}: {name} has two rows that differ", "keep one of them")
    return rows


def check_column(root: Path, people: Mapping[str, Row], target: str) -> None:
    """Raise a UserError that lists the columns if no row has the column of the target."""
    path = root / "participants.tsv"
    if not people:
        raise UserError(f"{path} does not exist or is empty", "it must hold the target, one row for each participant")
    columns = {column for row in people.values() for column in row}
    if target not in columns:
        raise UserError(f"{path} has no column {target!r} (data.target)", suggest(target, columns))


def target_of(participant: str, row: Row | None, column: str, numeric: bool) -> tuple[str | None, str]:
    """Return the target as text, or None and the reason for its absence."""
    if row is None:
        return None, f"participants.tsv has no row for {participant}"
    value = row.get(column)
    if value is None:
        return None, f"{column} of {participant} is missing (n/a)"
    if numeric and number_or_none(value) is None:
        return None, f"{column} of {participant} is {value!r}, not a number"
    return value, ""


def site_of(row: Row | None) -> str:
    """Return the site of a participant, empty if the table has none."""
    return next((v for column in SITE_COLUMNS if (v := (row or {}).get(column))), "")
