"""One table of all studies, from their leaderboards."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.io.tables import read_table


def collect_leaderboards(results: str | Path) -> pd.DataFrame:
    """Put the leaderboards of all studies below each other.

    Parameters
    ----------
    results : path
        Folder of the studies' folders; each with a ``leaderboard.tsv`` takes part, in the order
        of their names.

    Returns
    -------
    table : DataFrame of str
        Column ``study``, then all columns of the leaderboards in the order of their first
        appearance. Every number is the text that stands in the file; a column that a study
        lacks is missing there.

    Raises
    ------
    UserError
        If no study has a leaderboard.
    """
    tables = []
    for file in sorted(Path(results).glob("*/leaderboard.tsv")):
        table = read_table(file, {})
        # A table with this column was itself collected: taking it would count its studies twice.
        if "study" not in table:
            table.insert(0, "study", file.parent.name)
            tables.append(table)
    if not tables:
        raise UserError(
            f"no study in {results} has a leaderboard.tsv", "run a study to its end first, or give --results"
        )
    return pd.concat(tables, ignore_index=True)
