"""The index of a data set: the usable scans with their facts, the excluded scans with their reasons.

Large data sets are indexed by shards, one job for each: every shard lists all names, which is quick, and reads every
n-th scan; :func:`merge_shards` joins the shards to one index.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import DataSettings
from voxnas.data.bids import is_bids, read_bids
from voxnas.data.labelled_arrays import is_arrays, read_arrays
from voxnas.data.layout import Candidate, Layout, Suggestion, stem
from voxnas.data.limit import limit_scans
from voxnas.data.medmnist import is_medmnist, read_medmnist
from voxnas.data.msd import is_msd, read_msd
from voxnas.data.scan_rows import COLUMNS, read_scan
from voxnas.data.stimuli import DEFAULT_COLUMN
from voxnas.data.timeseries import is_timeseries, read_timeseries
from voxnas.io.nifti import SUFFIXES

SCHEMA_VERSION = 1
EXCLUDED = ["scan", "file", "reason"]
LAYOUTS = {"arrays": is_arrays, "msd": is_msd, "bids": is_bids, "timeseries": is_timeseries, "npz": is_medmnist}
CONTENT = {
    "arrays": "arrays.json (labelled arrays)",
    "msd": "dataset.json (MSD, nnU-Net)",
    "bids": "folders sub-* (BIDS)",
    "timeseries": "participants.tsv beside archives *_timeseries.npz (series of regions)",
    "npz": ".npz archive with volumes (MedMNIST)",
}


@dataclass(frozen=True)
class Index:
    """Result of :func:`index_dataset`.

    Attributes
    ----------
    scans : DataFrame
        One row for each usable scan, sorted by scan (columns :data:`~voxnas.data.scan_rows.COLUMNS`).
    excluded : DataFrame
        Columns scan, file, reason.
    dataset : dict
        Name, layout, channels, labels, classes and counts.
    values : dict of str to list of int
        Label values in each scan (segmentation).
    sidecars : dict of str to dict
        Merged metadata of each run.
    """

    scans: pd.DataFrame
    excluded: pd.DataFrame
    dataset: dict[str, Any]
    values: dict[str, list[int]] = field(default_factory=dict)
    sidecars: dict[str, dict[str, Any]] = field(default_factory=dict)


def dataset_root(root: str | Path, settings: DataSettings) -> Path:
    """Return the data set's folder: ``data.folder`` inside the data root if it exists, else the root."""
    root = Path(root).expanduser().absolute()
    if settings.folder and (root / settings.folder).exists():
        return root / settings.folder
    if not root.is_dir() and not is_medmnist(root):
        raise UserError(f"data_root {root} is not a folder", "set data_root to the folder of the data set")
    return root


def find_layout(root: Path, layout: str = "auto") -> str:
    """Recognise the layout (a key of :data:`LAYOUTS`) by the content of the folder; otherwise a UserError."""
    fitting = [kind for kind, check in LAYOUTS.items() if layout in ("auto", kind) and check(root)]
    if fitting:
        return fitting[0]
    inside = [folder.name for folder in data_sets_in(root)]
    hint = f"its folders {', '.join(inside)} are data sets" if inside else "check data_root and data.layout"
    raise UserError(f"{root} has no {CONTENT.get(layout) or ', '.join(CONTENT.values())}", hint)


def data_sets_in(root: Path) -> list[Path]:
    """Return the folders of a folder that are data sets, sorted by name."""
    folders = [p for p in sorted(root.iterdir()) if p.is_dir()] if root.is_dir() else []
    return [p for p in folders if any(check(p) for check in LAYOUTS.values())]


def read_layout(
    root: Path,
    task: str | None,
    settings: DataSettings,
    unit: str = "run",
    pick: Suggestion | None = None,
    test_folder: bool = False,
) -> Layout:
    """Read a data set of any layout, without opening a scan.

    Parameters
    ----------
    root : path
        The data set's folder.
    task : str or None
        The task; None reads the images alone.
    settings : DataSettings
        The settings of the data set.
    unit : {"volume", "run", "participant"}
        The unit that has a target.
    pick : callable, optional
        Selects candidates.
    test_folder : bool
        Whether to read the data set's own folder of test scans too (MSD, nnU-Net).
    """
    kind = find_layout(root, settings.layout)
    if test_folder and kind != "msd":
        raise UserError(f"{root} has no folder of test scans (splits.test = folder)", "set splits.test to a fraction")
    if settings.participant and kind != "msd":
        raise UserError(f"{root} has the layout {kind}; data.participant is for dataset.json", "remove it")
    if kind == "bids":
        return read_bids(root, task, settings, unit, pick)
    if settings.filters or settings.images:
        raise UserError(f"{root} has the layout {kind}; data.filters and data.images are for BIDS", "remove them")
    if kind == "timeseries":
        if unit == "volume":
            raise UserError(f"{root} has no events, which clips.unit: volume needs", "set clips.unit: run")
        return read_timeseries(root, task, settings.target, pick)
    if kind == "npz":
        if task == "segmentation":
            raise UserError(f"{root} is an archive of volumes, which has no label maps", "set task: classification")
        layout = read_medmnist(root, settings)
    elif kind == "arrays":
        layout = read_arrays(root, task, settings.target)
    else:
        layout = read_msd(root, task, settings, test_folder)
    return layout if pick is None else replace(layout, candidates=pick(layout.candidates))


def index_dataset(
    root: str | Path,
    task: str | None,
    data_settings: DataSettings,
    seed: int = 0,
    unit: str = "run",
    shards: int = 1,
    test_folder: bool = False,
) -> Index:
    """Index a data set for a study, all shards in this process.

    Every file is read completely once, so that all scans of the index are readable.

    Parameters
    ----------
    root : path
        The data root, which contains `data_settings.folder`.
    task : {"segmentation", "classification", "regression"} or None
        Task; None: the images alone.
    data_settings : DataSettings
        The settings of the data set.
    seed : int
        The study's seed, which draws the scans if `data_settings.limit` is set.
    unit : {"volume", "run", "participant"}
        The unit that has a target.
    shards : int
        Number of shards.
    test_folder : bool
        Whether to read the data set's own folder of test scans too.

    Raises
    ------
    UserError
        If the settings do not fit the data set, no scan is left, or a classification has one class.
    ScanError
        With `data_settings.strict`, at the first unusable scan.
    """
    parts = [index_shard(root, task, data_settings, seed, unit, i, shards, test_folder) for i in range(shards)]
    return merge_shards(parts, dataset_root(root, data_settings))


def index_shard(
    root: str | Path,
    task: str | None,
    data_settings: DataSettings,
    seed: int,
    unit: str,
    shard: int,
    shards: int,
    test_folder: bool = False,
) -> Index:
    """Index every `shards`-th scan of a data set, from number `shard` on; see :func:`index_dataset`."""
    folder = dataset_root(root, data_settings)

    def pick(candidates: list[Candidate]) -> list[Candidate]:
        _check_ids(candidates)
        if data_settings.limit:
            candidates = limit_scans(candidates, data_settings.limit, task == "classification", seed)
        return sorted(candidates, key=lambda c: c.scan)[shard::shards]

    layout = read_layout(folder, task, data_settings, unit, pick, test_folder)
    if layout.kind == "timeseries" and data_settings.layout != "timeseries":
        raise UserError(f"{folder} holds series of regions", "set data.layout: timeseries")
    return index_layout(layout, task, data_settings, unit)


def merge_shards(parts: Sequence[Index], folder: Path) -> Index:
    """Join the indices of all shards; a UserError if no scan is left or a classification has one class."""
    scans = pd.concat([part.scans for part in parts]).sort_values("scan", ignore_index=True)
    excluded = pd.concat([part.excluded for part in parts]).sort_values("scan", ignore_index=True)
    if scans.empty and excluded.empty:
        raise UserError(f"{folder}: data.limit leaves no scan: every participant has more", "raise data.limit")
    if scans.empty:
        scan, file, reason = excluded.iloc[0]
        raise UserError(
            f"{folder}: none of {len(excluded)} scans can be used; {scan} ({file}): {reason}",
            f"'voxnas validate {folder}' lists all",
        )
    labels = {value: name for part in parts for value, name in part.dataset["labels"].items()}
    dataset = parts[0].dataset | {
        "labels": dict(sorted(labels.items(), key=lambda entry: int(entry[0]))),
        "classes": sorted({c for part in parts for c in part.dataset["classes"]}),
        "scans": len(scans),
        "excluded": len(excluded),
    }
    check_targets(dataset, scans, folder)
    values = {k: v for part in parts for k, v in part.values.items()}
    sidecars = {k: v for part in parts for k, v in part.sidecars.items()}
    return Index(scans[COLUMNS], excluded[EXCLUDED], dataset, values, sidecars)


def check_targets(dataset: dict[str, Any], scans: pd.DataFrame, folder: Path) -> None:
    """Raise a UserError if all usable scans have one target, or no label, so that nothing can be learned.

    Parameters
    ----------
    dataset : dict
        Of an :class:`Index`.
    scans : DataFrame
        The usable scans.
    folder : path
        Of the data set, for the message.
    """
    found = dataset["classes"] if dataset["task"] == "classification" else sorted(set(scans["target"].dropna()))
    if dataset["task"] in ("classification", "regression") and len(found) < 2:
        only = ", ".join(map(repr, found)) or "none"
        kind = "class" if dataset["task"] == "classification" else "value"
        raise UserError(f"{folder}: column {dataset['target']!r} has one {kind}, {only}", "choose another target")
    if dataset["task"] == "segmentation" and len(dataset["labels"]) < 2:
        raise UserError(f"{folder}: the label maps have no labels besides the background", "check the label maps")


def index_files(files: list[Path], strict: bool = False) -> Index:
    """Index single image files that belong to no data set."""
    names = Counter(stem(f) for f in files)
    candidates = [
        Candidate(scan=stem(f) if names[stem(f)] == 1 else str(f), participant="", images=(f,), last_axis="unknown")
        for f in files
    ]
    return index_layout(Layout("files", "", candidates, ["image"]), None, DataSettings(strict=strict))


def is_image(path: Path) -> bool:
    """Return whether a file name is one of an image."""
    return path.name.endswith(SUFFIXES) and not path.name.startswith(".")


def _check_ids(candidates: list[Candidate]) -> None:
    """Raise a UserError if two images have one identifier."""
    name, count = Counter(c.scan for c in candidates).most_common(1)[0] if candidates else ("", 0)
    if count > 1:
        files = [c.images[0] for c in candidates if c.scan == name]
        raise UserError(f"two images have the identifier {name!r}: {files[0]} and {files[1]}", "rename or remove one")


def index_layout(layout: Layout, task: str | None, settings: DataSettings, unit: str = "run") -> Index:
    """Read the scans of a layout; without a task, the images alone."""
    _check_ids(layout.candidates)
    column = (settings.target or DEFAULT_COLUMN) if task and unit == "volume" else None
    rows, excluded, found = [], [], {}
    for candidate in sorted(layout.candidates, key=lambda c: c.scan):
        try:
            row, found[candidate.scan] = read_scan(candidate, layout, task, column)
        except ScanError as error:
            if settings.strict:
                raise
            excluded.append(_exclusion(candidate, error))
        else:
            rows.append(row)
    scans = pd.DataFrame(rows, columns=COLUMNS)
    values = found if task == "segmentation" else {}
    labels = layout.labels or {v: _label_name(v) for v in sorted({0}.union(*values.values()))}
    classes = set(scans["target"]) if column is None else {kind for kinds in found.values() for kind in kinds}
    dataset: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": layout.name,
        "layout": layout.kind,
        "task": task or "",
        "channels": layout.channels,
        "labels": {str(v): name for v, name in labels.items()} if task == "segmentation" else {},
        "classes": sorted(classes) if task == "classification" else [],
        "target": (column or settings.target) if task in ("classification", "regression") else "",
        "scans": len(scans),
        "excluded": len(excluded),
        "identified": layout.identified,
        "doubt": layout.doubt,
    }
    if unit == "volume":
        dataset["unit"] = unit
    if layout.kind == "timeseries":
        dataset |= {"atlas": str(layout.atlas or ""), "regions": layout.regions}
    usable = set(scans["scan"])
    sidecars = {c.scan: c.sidecar for c in layout.candidates if c.scan in usable and c.last_axis == "time"}
    return Index(scans, pd.DataFrame(excluded, columns=EXCLUDED), dataset, values, sidecars)


def _exclusion(candidate: Candidate, error: ScanError) -> dict[str, str]:
    """Return the row of an excluded scan: the file, and the reason."""
    files = [str(p) for p in (*candidate.images, candidate.label) if p is not None]
    file = next((f for f in files if error.what.startswith(f"{f}: ")), files[0])
    reason = error.what.removeprefix(f"{file}: ") + (f"; {error.remedy}" if error.remedy else "")
    return {"scan": candidate.scan, "file": file, "reason": reason}


def _label_name(value: int) -> str:
    return f"label {value}" if value else "background"
