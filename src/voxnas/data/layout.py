"""Records that the reader of a data set layout passes to the index: candidates, and the data set's own description."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from voxnas.core.errors import UserError

MAX_REPETITION_S = 100.0  # of the BIDS validator; a larger value is in milliseconds
LastAxis = Literal["channel", "time", "none", "unknown"]


@dataclass(frozen=True)
class Candidate:
    """A scan listed by a data set, before any voxel is read.

    Attributes
    ----------
    scan, participant, session, site : str
        Identifiers; session and site are empty if unknown.
    images : tuple of path
        One file, or one file for each channel.
    label : path or None
        Label map.
    target : str or None
        Text from participants.tsv.
    last_axis : {"channel", "time", "none", "unknown"}
        Meaning of the fourth axis of a 4D image; with ``none`` a 4D image is excluded.
    repetition_time : float or None
        In s, by the sidecar.
    subset : {"", "test"}
        ``test``: a scan of the data set's own folder of test scans.
    problem : str
        Reason to exclude the scan, if one is known before the image is read.
    task, run, space : str
        Entities of a BIDS name, empty if absent.
    preprocessed : bool or None
        Whether the image is a derivative; None if the layout does not define it.
    events, confounds, anatomical : path or None
        Table of events, table of confounds, and raw T1w image of a run.
    masks : tuple of path
        Possible brain masks of a run, best first; the index takes the first on the run's grid.
    sidecar : dict
        Merged metadata of a run.
    doubts : tuple of str
        Warnings about files beside the image.
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
    subset: Literal["", "test"] = ""
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
    doubts: tuple[str, ...] = ()


# Selects the candidates to be read: the sample drawn by a limit, or the share of one job.
Suggestion = Callable[[list[Candidate]], list[Candidate]]


@dataclass(frozen=True)
class Layout:
    """The content of a data set, as parsed by its reader.

    Attributes
    ----------
    kind : str
        ``arrays``, ``msd``, ``bids``, ``npz``, ``timeseries`` or ``files``.
    name : str
        Name of the data set.
    candidates : list of Candidate
        The scans.
    channels : list of str
        Names of the image channels.
    labels : dict of int to str
        Names of the label values; empty if the data set does not define them.
    atlas : path or None
        Label image of the regions, for scans that are series of regions.
    regions : list of int
        Value in the atlas of each column of the series.
    identified : bool
        Whether the participants are known; otherwise every scan counts as a participant.
    doubt : str
        Reason to suspect that participants have several scans, if they are unknown.
    """

    kind: str
    name: str
    candidates: list[Candidate]
    channels: list[str]
    labels: dict[int, str] = field(default_factory=dict)
    atlas: Path | None = None
    regions: list[int] = field(default_factory=list)
    identified: bool = True
    doubt: str = ""


def read_description(path: Path) -> dict[str, Any]:
    """Read a JSON object of a data set; a missing or damaged file raises a UserError.

    A number that is not finite (``NaN``, ``1e999``) is kept as its text, so that no reader takes it as a number and
    every record of it can be written.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist" if not path.exists() else f"{path} is not a file")
    try:
        text = path.read_text(encoding="utf-8-sig")
        data = json.loads(text, parse_constant=str, parse_float=_finite)
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path} is not readable JSON: {error}", "repair it, or fetch the data set again") from None
    if not isinstance(data, dict):
        raise UserError(f"{path} must hold a JSON object, not {type(data).__name__}")
    return data


def _finite(text: str) -> float | str:
    return number if math.isfinite(number := float(text)) else text


def stem(path: Path) -> str:
    """Return the file name without its ending, such as ``.nii`` or ``.nii.gz``."""
    return path.name.removesuffix(".gz").rpartition(".")[0] if path.name.endswith(".gz") else path.stem
