"""Reader of series of regions: one array (time, regions) for each run, in archives beside a table of participants.

A folder has this form (the preprocessed ABIDE release, Craddock et al. 2013, with one archive for each site)::

    participants.tsv              participant_id, targets, and if known site and repetition_time (s)
    <any folder>/*_timeseries.npz arrays <scan>, (T, R), and for quantised series <scan>_sd, (R,)
    atlas/<ATLAS>.nii.gz          label image of the regions; the archives' names contain atlas-<ATLAS>
    columns.json                  {"<atlas>_columns": [value in the atlas of each of the R columns]}, lower case

A scan is named by its participant (``sub-0050003``) or by more entities (``sub-0050003_ses-a_run-1``).
Arrays of floating-point numbers are the series; arrays of int8 with ``<scan>_sd`` are round(20 z), and the
series are z times the standard deviation.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voxnas.core.errors import ScanError, UserError, suggest
from voxnas.data.bids_names import parse_name
from voxnas.data.layout import MAX_REPETITION_S, Candidate, Layout, Suggestion, read_description
from voxnas.data.participants import Row, check_column, number_or_none, read_participants, site_of, target_of
from voxnas.io.npz import array_names, read_array

ENDING = "_timeseries.npz"
SCALE = "_sd"
QUANTA = 20  # quantisation steps of int8 in one standard deviation
ATLAS_NAME = re.compile(r"(?:^|_)atlas-([A-Za-z0-9]+)_")


def archives(root: Path) -> list[Path]:
    """List the archives of series in a folder or one level below, sorted."""
    return sorted({*root.glob(f"*{ENDING}"), *root.glob(f"*/*{ENDING}")}) if root.is_dir() else []


def is_timeseries(root: Path) -> bool:
    """Return whether a folder has a table of participants and archives of series."""
    return (root / "participants.tsv").is_file() and bool(archives(root))


def read_timeseries(root: Path, task: str | None, target: str, pick: Suggestion | None = None) -> Layout:
    """List the series of a folder.

    Parameters
    ----------
    root : path
        The folder.
    task : {"classification", "regression"} or None
        The task; None reads no targets.
    target : str
        Column of participants.tsv.
    pick : callable, optional
        Selects candidates.

    Raises
    ------
    UserError
        If the series are of several atlases, the target column is absent, or the task is segmentation.
    """
    if task == "segmentation":
        raise UserError(f"{root} holds series of regions, which have no label maps", "set task: classification")
    people = read_participants(root)
    if task is not None:
        check_column(root, people, target)
    files = archives(root)
    names = {match[1] for f in files if (match := ATLAS_NAME.search(f.name))}
    if len(names) > 1:
        raise UserError(f"{root}: series of {len(names)} atlases: {', '.join(sorted(names))}",
                        "keep the archives of one atlas")  # fmt: skip
    atlas, regions = _read_atlas(root, names.pop()) if names else (None, [])
    candidates = [c for file in files for c in _candidates(file, task, target, people)]
    listed = {c.participant for c in candidates}
    candidates += [
        Candidate(person, person, (root / "participants.tsv",), site=site_of(row), problem="no series in any archive")
        for person, row in people.items()
        if person not in listed
    ]
    if pick is not None:
        candidates = pick(candidates)
    return Layout("timeseries", root.name, candidates, ["series"], atlas=atlas, regions=regions)


def _candidates(file: Path, task: str | None, target: str, people: dict[str, Row]) -> Iterator[Candidate]:
    """Yield the scans of one archive."""
    for scan in sorted(name for name in array_names(file) if not name.endswith(SCALE)):
        name = parse_name(Path(f"{scan}_timeseries"))
        entities, participant = name.entities, name.participant if "sub" in name.entities else scan
        row = people.get(participant)
        value, problem = target_of(participant, row, target, task == "regression") if task else (None, "")
        yield Candidate(
            scan=scan,
            participant=participant,
            session=entities.get("ses", ""),
            site=site_of(row),
            images=(file,),
            target=value,
            last_axis="time",
            repetition_time=_seconds((row or {}).get("repetition_time")),
            problem=problem,
            task=entities.get("task", ""),
            run=entities.get("run", ""),
            preprocessed=True,
        )


def _seconds(text: str | None) -> float | None:
    number = number_or_none(text)
    return number if number and 0 < number <= MAX_REPETITION_S else None


def _read_atlas(root: Path, name: str) -> tuple[Path | None, list[int]]:
    """Return the file of the atlas, None if absent, and the atlas value of each column, empty without columns.json."""
    image = root / "atlas" / f"{name}.nii.gz"
    path = root / "columns.json"
    values: list[int] = []
    if path.is_file():
        columns = read_description(path)
        try:
            values = [int(v) for v in columns[f"{name.lower()}_columns"]]
        except (ValueError, TypeError, KeyError) as error:
            keys = [k for k in columns if k.endswith("_columns")] if isinstance(error, KeyError) else []
            raise UserError(f"{path}: no list of whole numbers {name.lower()}_columns", suggest(name, keys)) from None
    return (image if image.is_file() else None), values


def read_series(path: str | Path, scan: str) -> NDArray[np.float32]:
    """Read the series of one scan, in their stored units.

    Parameters
    ----------
    path : path
        Archive.
    scan : str
        Name of the array.

    Returns
    -------
    ndarray of float32, (T, R)

    Raises
    ------
    ScanError
        If the archive cannot be read, or the array is absent or no series.
    """
    stored = read_array(path, scan)
    scale = read_array(path, scan + SCALE) if scan + SCALE in array_names(Path(path)) else None
    if stored.ndim != 2 or stored.dtype.kind not in "fiu":
        raise ScanError(f"{path}: {scan} has shape {stored.shape} and type {stored.dtype}, series are numbers (T, R)")
    series = stored.astype(np.float32)
    if scale is not None:
        if scale.shape != series.shape[1:]:
            raise ScanError(f"{path}: {scan}{SCALE} has shape {scale.shape}, one value for each of the "
                            f"{series.shape[1]} regions is needed")  # fmt: skip
        series *= scale.astype(np.float32) / QUANTA
    return series
