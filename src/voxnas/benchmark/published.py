"""Published scores of another method on the test scans, as a reference of the comparisons.

A reference enters tables only: no training, selection or choice of a winner reads it.
"""

from collections.abc import Sequence
from pathlib import Path

from voxnas.benchmark.statistics import Statistic, mean_statistic
from voxnas.core.errors import UserError
from voxnas.io.tables import read_table


def published_statistic(path: str | Path, scans: Sequence[str], measure: str) -> Statistic:
    """Read the score of each test scan from a table, whose first column names the scans.

    The score is the column of the measure, or else the mean of its columns by label (``dice_<label>``).

    Parameters
    ----------
    path : path
        TSV file.
    scans : sequence of str, length N
        The test scans, in the order of the cases.
    measure : str
        Measure of the study that is a mean over cases: ``dice``.

    Raises
    ------
    UserError
        If the measure is no mean over cases, or the table has no scores of it or lacks a test scan.
    """
    if measure != "dice":
        raise UserError(f"benchmark.published: scores of single scans give no {measure}", "remove the setting")
    table = read_table(path, {})
    columns = [measure] if measure in table else [c for c in map(str, table.columns) if c.startswith(f"{measure}_")]
    if not columns:
        raise UserError(f"{path} has the columns {', '.join(table.columns)}", f"name one of them {measure}")
    values = read_table(path, dict.fromkeys(columns, float)).set_index(table.columns[0])[columns].mean(axis=1)
    if missing := sorted(set(scans) - set(values.index)):
        raise UserError(f"{path} has no score of the test scan {missing[0]} ({len(missing)} missing)", "add its row")
    return mean_statistic(values.loc[list(scans)].to_numpy())
