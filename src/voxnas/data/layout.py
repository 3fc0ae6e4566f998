"""What a reader of a data set layout hands to the index: candidates, and what the data set says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from voxnas.core.errors import UserError

LastAxis = Literal["channel", "time", "none", "unknown"]


@dataclass(frozen=True)
class Candidate:
    """One scan that a data set names, before any voxel is read.

    Attributes
    ----------
    scan, participant, session, site : str
        Names; session and site are empty where there is none.
    images : tuple of path
        One file, or one a channel.
    label : path or None
        Label map.
    target : str or None
        Text from participants.tsv.
    last_axis : {"channel", "time", "none", "unknown"}
        Meaning of the fourth axis of a 4D image; with ``none`` a 4D image is left out.
    repetition_time : float or None
        Seconds between volumes by the sidecar.
    problem : str
        Why the scan cannot be used, if that is known already.
    task, run, space : str
        Entities of a BIDS name, empty where there is none.
    preprocessed : bool or None
        Whether the image is a derivative; None where the layout does not say.
    events, confounds, anatomical : path or None
        Table of events, table of confounds, and raw T1w image that belong to a run.
    masks : tuple of path
        Brain masks that may be the run's, likeliest first; the index takes the first on the run's grid.
    sidecar : dict
        Merged metadata of a run.
    """

    scan: str
    participant: str
    images: tuple[Path, ...]
    session: str = ""
    site: str = ""
    label: Path | None = None
    target: str | None = None
    last_axis: LastAxis = "none"
    repetition_time: float | None = None
    problem: str = ""
    task: str = ""
    run: str = ""
    space: str = ""
    preprocessed: bool | None = None
    events: Path | None = None
    confounds: Path | None = None
    masks: tuple[Path, ...] = ()
    anatomical: Path | None = None
    sidecar: dict[str, Any] = field(default_factory=dict)


# Which of all candidates are looked at more closely: those that a limit draws, or that a job of several reads.
Suggestion = Callable[[list[Candidate]], list[Candidate]]


@dataclass(frozen=True)
class Layout:
    """A data set as its reader understood it.

    Attributes
    ----------
    kind : str
        ``msd``, ``bids``, ``npz``, ``timeseries`` or ``files``.
    name : str
        Name of the data set.
    candidates : list of Candidate
        The scans.
    channels : list of str
        Names of the image channels.
    labels : dict of int to str
        Names of the label values; empty where the data set does not give them.
    atlas : path or None
        Label image of the regions whose series the scans are.
    regions : list of int
        Value in the atlas of each column of the series.
    """

    kind: str
    name: str
    candidates: list[Candidate]
    channels: list[str]
    labels: dict[int, str] = field(default_factory=dict)
    atlas: Path | None = None
    regions: list[int] = field(default_factory=list)


def read_description(path: Path) -> dict[str, Any]:
    """A JSON object that belongs to a data set; a damaged one is a UserError."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise UserError(f"{path} does not exist") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is not readable JSON: {error}", "repair it, or fetch the data set again") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold a JSON object, not {type(data).__name__}")
    return data


def stem(path: Path) -> str:
    """File name without ``.nii``, ``.nii.gz`` and the like."""
    return path.name.removesuffix(".gz").rpartition(".")[0] if path.name.endswith(".gz") else path.stem
