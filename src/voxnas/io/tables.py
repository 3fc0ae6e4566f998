"""TSV tables with declared types, so that a label ``01`` remains a string."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.io.records import write_text


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as TSV; missing values are ``n/a`` as in BIDS."""
    write_text(path, table.to_csv(sep="\t", index=False, na_rep="n/a", lineterminator="\n"))


def read_table(path: str | Path, dtypes: Mapping[str, type | str]) -> pd.DataFrame:
    """Read a TSV table; columns without a declared type are strings.

    Parameters
    ----------
    path : path
        File.
    dtypes : mapping of column name to type
        Required columns with their types (``str``, ``float``, ``"Int64"``).

    Raises
    ------
    UserError
        If the file or a declared column is missing, or a value does not match its type.
    """
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, na_values=["n/a"], keep_default_na=False)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "run the stage that writes it") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise UserError(f"{path} is not a tab-separated table: {error}") from None
    for column, dtype in dtypes.items():
        if column not in table:
            raise UserError(f"{path} has no column {column!r}", f"its columns are {', '.join(table.columns)}")
        if dtype is not str:
            try:
                table[column] = table[column].astype(dtype)  # type: ignore[arg-type]
            except (ValueError, TypeError) as error:
                raise UserError(f"{path}: column {column!r}: {error}") from None
    return table


def table_rows(table: pd.DataFrame) -> Iterator[Any]:
    """Iterate over the rows as named tuples, untyped for static analysis."""
    yield from table.itertuples()
