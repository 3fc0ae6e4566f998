"""Events of a run, and the event that each volume shows.

The haemodynamic response peaks about 5 s after the onset of an event (Glover 1999, NeuroImage 9). The label of a volume
is therefore the event that was present `delay` seconds before. Some published events are the labels of volumes, already
shifted by the response; their delay is 0. The table does not tell which, so the delay is a setting without default.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxnas.core.errors import ScanError, of_one_scan, suggest
from voxnas.data.participants import number_or_none, text_or_none
from voxnas.io.tables import read_table

DEFAULT_COLUMN = "trial_type"
SLACK_S = 1e-6  # tolerance for rounded times


def read_events(path: str | Path) -> pd.DataFrame:
    """Read a table of events.

    Returns
    -------
    DataFrame
        ``onset`` and ``duration`` in seconds, sorted by onset; all other columns are texts, NaN if missing.

    Raises
    ------
    ScanError
        If the table cannot be read or lacks a column, an onset is not a number, or a duration is not a number or
        negative (a missing duration is 0).
    """
    with of_one_scan():
        table = read_table(path, {"onset": str, "duration": str})
    # Lists instead of columns: a cohort has thousands of small tables, and each operation of pandas costs overhead.
    columns: dict[str, list[Any]] = {str(name): [text_or_none(v) for v in values] for name, values in table.items()}
    for name, least in (("onset", -math.inf), ("duration", 0.0)):
        missing = None if name == "onset" else 0.0
        for row, text in enumerate(columns[name]):
            number = missing if text is None else number_or_none(text)
            if number is None or number < least:
                raise ScanError(f"{path}: row {row + 1}: {name} is {text!r}",
                                "onset and duration are seconds; a duration is 0 or more")  # fmt: skip
            columns[name][row] = number
    return pd.DataFrame(columns).sort_values("onset", kind="stable", ignore_index=True)


def event_types(events: pd.DataFrame, column: str, path: str | Path) -> list[str]:
    """Return the sorted kinds of events of a column; a ScanError lists the columns if it is absent."""
    if column not in events:
        raise ScanError(
            f"{path} has no column {column!r} (data.target)",
            suggest(column, set(map(str, events)) - {"onset", "duration"}),
        )
    return sorted(events[column].dropna().unique())


def number_blocks(events: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the events that have a kind, with the column ``_block``: the number of the block, from 0.

    Consecutive events of one kind are one block.
    """
    shown = events[events[column].notna()]
    starts = shown[column] != shown[column].shift()
    return shown.assign(_block=starts.cumsum().to_numpy() - 1)


def volume_labels(
    events: pd.DataFrame, column: str, frames: int, repetition_time: float, dropped: int, delay: float
) -> list[str | None]:
    """Return the event that each volume shows.

    Volume k, counted after the dropped volumes, begins at (k + dropped) x repetition_time. It shows the event with
    onset <= time - delay < onset + duration; of several, the event with the latest onset. An event too short to be
    shown by any volume is assigned to the volume nearest to its middle.

    Parameters
    ----------
    events : DataFrame
        From :func:`read_events`.
    column : str
        Column with the kind of event; rows without a value are ignored.
    frames : int
        Number of volumes, without the dropped volumes.
    repetition_time : float
        In s.
    dropped : int
        Volumes dropped at the start (non-steady state).
    delay : float
        Seconds from an event to its response.

    Returns
    -------
    list of str or None
        One entry for each volume; None without an event (rest).
    """
    times = (np.arange(frames) + dropped) * repetition_time - delay
    labels: list[str | None] = [None] * frames
    for event in events[events[column].notna()].to_dict("records"):
        start, end = event["onset"], event["onset"] + event["duration"]
        shown = np.flatnonzero((times >= start - SLACK_S) & (times < end - SLACK_S))
        if not shown.size and frames:
            middle = (start + end) / 2
            nearest = int(np.argmin(np.abs(times - middle)))
            shown = np.array([nearest] if abs(times[nearest] - middle) <= repetition_time / 2 + SLACK_S else [], int)
        for k in shown:
            labels[k] = event[column]
    return labels


def describe_delay(paths: Iterable[str | Path], delay: float) -> str:
    """Describe the labels of volumes in one line, with the median duration of the events in the tables at `paths`."""
    durations = [seconds for path in paths for seconds in read_events(path)["duration"]]
    event = f"an event (median duration {np.median(durations):g} s)"
    shift = f"{delay:g} s later" if delay else "at the same time (clips.delay = 0)"
    return f"{event} labels the volumes {shift}; the response to a stimulus peaks about 5 s after its onset"
