"""Blocks of the events of a run, the units of splits below the run, for data of one or few runs.

A block is a sequence of consecutive events of one kind. The whole run is cleaned first, and its blocks are divided
between the splits afterwards, so that the standardisation of a run does not remove the response to a block.
"""

from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.core.splits import BLOCK, Splits
from voxnas.data.stimuli import DEFAULT_COLUMN, number_blocks, read_events


def block_table(scans: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return one row for each block of the runs.

    Parameters
    ----------
    scans : DataFrame
        The index of runs with events.
    column : str
        Column of the kind of event; empty: ``trial_type``.

    Returns
    -------
    DataFrame
        The columns of the index; ``scan`` is the name of the block (``<scan>_block-003``) and ``target`` its kind.

    Raises
    ------
    UserError
        If a run has no events.
    """
    column = column or DEFAULT_COLUMN
    rows = []
    for row in scans.to_dict("records"):
        if not isinstance(row.get("events"), str):
            raise UserError(f"splits.unit = block, but run {row['scan']!r} has no events", "set splits.unit: run")
        kinds = number_blocks(read_events(Path(row["events"])), column).groupby("_block")[column].first()
        rows += [{**row, "scan": f"{row['scan']}{BLOCK}{n:03d}", "target": kind} for n, kind in kinds.items()]
    return pd.DataFrame(rows, columns=list(scans.columns))


def split_members(scans: pd.DataFrame, splits: Splits, column: str) -> pd.DataFrame:
    """Return the table whose rows the splits divide: the scans, or the blocks of the runs."""
    return block_table(scans, column) if splits.unit == "block" else scans
