"""The joined leaderboards of all studies."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.io.tables import read_table


def collect_leaderboards(results: str | Path) -> pd.DataFrame:
    """Concatenate the leaderboards of all studies.

    Parameters
    ----------
    results : path
        Folder with the folders of the studies; studies with a ``leaderboard.tsv`` are included, sorted by name.

    Returns
    -------
    table : DataFrame of str
        Column ``study``, then all columns of the leaderboards in the order of their first appearance. Numbers are the
        strings of the files; values of columns that a study lacks are missing.

    Raises
    ------
    UserError
        If no study has a leaderboard.
    """
    tables = []
    for file in sorted(Path(results).glob("*/leaderboard.tsv")):
        table = read_table(file, {})
        # A table with this column is itself a collection, whose studies would be counted twice.
        if "study" not in table:
            table.insert(0, "study", file.parent.name)
            tables.append(table)
    if not tables:
        raise UserError(
            f"no study in {results} has a leaderboard.tsv",
            "complete a study first, or give another folder by --results",
        )
    return pd.concat(tables, ignore_index=True)
