"""TSV tables with declared types, so that a label ``01`` remains a string."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.io.records import write_text
from voxnas.io.tsv import read_cells


def write_table(path: str | Path, table: pd.DataFrame) -> None:
    """Write a table as TSV; missing values are ``n/a`` as in BIDS, tabs and line breaks in a text become spaces."""
    table = table.replace(r"[\t\r\n]+", " ", regex=True)
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
        As :func:`~voxnas.io.tsv.read_cells`, and if a declared column is missing or a value does not match its type.
    """
    names, rows = read_cells(path)
    table = pd.DataFrame([[None if cell == "n/a" else cell for cell in row] for row in rows], columns=names, dtype=str)
    for column, dtype in dtypes.items():
        if column not in table:
            raise UserError(f"{path} has no column {column!r}", f"its columns are {', '.join(table.columns)}")
        if dtype is not str:
            try:
                table[column] = table[column].astype(dtype)  # type: ignore[arg-type]
            except (ValueError, TypeError, OverflowError) as error:
                raise UserError(f"{path}: column {column!r}: {error}") from None
    return table


def table_rows(table: pd.DataFrame) -> Iterator[Any]:
    """Iterate over the rows as named tuples, untyped for static analysis."""
    yield from table.itertuples()
