"""The table of participants, and what it says that is to be predicted."""

from __future__ import annotations

import math
from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.data.layout import choose
from voxnas.io.tables import read_table

MISSING = {"", "n/a", "N/A", "na", "NA", "nan", "NaN"}
SITE_COLUMNS = ("site", "site_id")

Row = dict[str, str | None]


def read_participants(root: Path) -> dict[str, Row]:
    """Rows of participants.tsv by participant id; missing values are None, all others texts as they stand."""
    path = root / "participants.tsv"
    if not path.is_file():
        return {}
    table = read_table(path, {"participant_id": str})
    people: dict[str, Row] = {}
    for row in table.to_dict("records"):
        values: Row = {
            str(k): None if pd.isna(v) or str(v).strip() in MISSING else str(v).strip() for k, v in row.items()
        }
        name = f"sub-{str(values.pop('participant_id')).removeprefix('sub-')}"
        if people.setdefault(name, values) != values:
            raise UserError(f"{path}: {name} has two rows that differ", "keep one row for each participant")
    return people


def check_column(root: Path, people: dict[str, Row], target: str) -> None:
    """Raise a UserError if participants.tsv has no column of that name, with those that it has."""
    path = root / "participants.tsv"
    if not people:
        raise UserError(f"{path} does not exist or is empty", "it must hold the target, one row for each participant")
    columns = list(next(iter(people.values())))
    if target not in columns:
        raise UserError(f"{path} has no column {target!r} (data.target)", choose(target, columns))


def target_of(participant: str, row: Row | None, column: str, numeric: bool) -> tuple[str | None, str]:
    """The target's text, or None and the reason why there is none."""
    if row is None:
        return None, f"participants.tsv has no row for {participant}"
    value = row[column]
    if value is None:
        return None, f"{column} of {participant} is missing (n/a) in participants.tsv"
    if numeric:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            return None, f"{column} of {participant} is {value!r}, not a number"
    return value, ""


def site_of(row: Row | None) -> str:
    """The site of a participant, empty where the table does not say."""
    return next((v for column in SITE_COLUMNS if (v := (row or {}).get(column))), "")
