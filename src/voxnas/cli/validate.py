"""``voxnas validate``: read every scan of a data set and list the defects.

The exit status is 0 if all scans are usable, 1 if some are not, and 2 if none is or the folder is not a data set.
A single image, or a folder of images without the layout of a data set, is checked file by file.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from voxnas.core.settings import DataSettings
    from voxnas.data.index import Index

TASKS = ("segmentation", "classification", "regression")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of the verb."""
    parser.add_argument(
        "path",
        type=Path,
        metavar="PATH",
        help="folder of a data set (MSD, nnU-Net, BIDS, MedMNIST, labelled arrays, regional time series), or an image",
    )
    parser.add_argument("--task", choices=TASKS, help="default: classification or regression with --target, "
                        "segmentation if label maps exist, else images only")  # fmt: skip
    parser.add_argument("--suffix", default="T1w", help="BIDS: suffix of the images (default: T1w)")
    parser.add_argument(
        "--target",
        default="",
        help="target: column of participants.tsv (BIDS) or of the table of targets (labelled arrays), or array "
        "<split>_TARGET (MedMNIST)",
    )
    parser.add_argument(
        "--participant",
        default="",
        metavar="PATTERN",
        help="MSD, nnU-Net: regular expression of the names of the cases, whose first group is the participant",
    )
    parser.add_argument("--derivatives", default="", help="BIDS: folder under derivatives/ with the label maps")
    parser.add_argument("--images", default="", help="BIDS: folder under derivatives/ with preprocessed images")
    parser.add_argument(
        "--filter", metavar="ENTITY=VALUE[,VALUE]", action="append", default=[],
        help="BIDS: only images with this entity, such as task=rest (repeatable; 'acq=': without the entity)",
    )  # fmt: skip
    parser.add_argument("--unit", choices=("run", "volume"), default="run",
                        help="unit with a target: a run (or scan), or each volume, labelled by its event")  # fmt: skip
    parser.add_argument("--label-suffix", default="dseg", help="BIDS: suffix of the label maps (default: dseg)")
    parser.add_argument("--strict", action="store_true", help="stop at the first unusable scan")


def run(arguments: argparse.Namespace) -> int:
    """Print the usable scans, the excluded scans and a summary."""
    from voxnas.core.errors import UserError
    from voxnas.core.settings import DataSettings, validated
    from voxnas.data.index import LAYOUTS, check_targets, data_sets_in, index_files, index_layout, is_image, read_layout

    path = arguments.path.expanduser().absolute()
    names = ("suffix", "images", "target", "participant", "derivatives", "label_suffix", "strict")
    values = {name: getattr(arguments, name) for name in names}
    filters = dict(_filter(text) for text in arguments.filter)
    settings = validated(DataSettings, values | {"filters": filters}, "the command line", ("data",))
    if arguments.task in ("classification", "regression") and not settings.target:
        raise UserError(f"--task {arguments.task} needs --target", "name a column of participants.tsv")
    if any(check(path) for check in LAYOUTS.values()):
        volumes = arguments.unit == "volume"
        task = arguments.task or ("classification" if volumes else infer_task(path, settings))
        index = index_layout(read_layout(path, task, settings, arguments.unit), task, settings, arguments.unit)
        print(f"{index.dataset['name']} ({index.dataset['layout'].upper()}), {_purpose(index, path, settings)}")
    elif inside := data_sets_in(path):
        folders = ", ".join(folder.name for folder in inside)
        raise UserError(f"{path} is no data set, but contains data sets: {folders}", f"voxnas validate {inside[0]}")
    elif path.is_dir() or path.is_file() or path.is_symlink():
        files = [p for p in sorted(path.rglob("*")) if is_image(p)] if path.is_dir() else [path]
        if not files:
            raise UserError(f"{path} contains neither a data set (dataset.json, sub-* folders) nor image files")
        index = index_files(files, settings.strict)
        print("No data set (dataset.json or sub-* folders): image files one by one" if path.is_dir() else "One image")
    else:
        raise UserError(f"{path} does not exist")
    print_index(index, path)
    if index.scans.empty:
        return 2
    check_targets(index.dataset, index.scans, path)
    return 1 if len(index.excluded) else 0


def _filter(text: str) -> tuple[str, tuple[str, ...]]:
    """Parse a filter such as ``run=1,2``."""
    from voxnas.core.errors import UserError

    key, sign, values = text.partition("=")
    if not sign:
        raise UserError(f"--filter {text} has no '='", "write --filter task=rest")
    return key, tuple(values.split(","))


def infer_task(root: Path, settings: DataSettings) -> str | None:
    """Infer the task of a data set; None if it has images only."""
    from voxnas.core.errors import UserError
    from voxnas.data.bids_names import TIME_SUFFIXES
    from voxnas.data.label_maps import find_derivative
    from voxnas.data.labelled_arrays import has_labels, is_arrays, read_targets
    from voxnas.data.medmnist import is_medmnist, read_medmnist
    from voxnas.data.msd import is_msd
    from voxnas.data.participants import number_or_none, read_sessions, text_or_none
    from voxnas.data.timeseries import is_timeseries
    from voxnas.io.tables import read_table

    if settings.suffix in TIME_SUFFIXES and not settings.target:
        return None
    if is_timeseries(root) and not settings.target:
        return None
    if is_arrays(root) and not settings.target:
        return "segmentation" if has_labels(root) else None
    if settings.target:
        if is_arrays(root):
            texts = [value for row in read_targets(root) if (value := row.get(settings.target)) is not None]
        elif is_medmnist(root):
            texts = [c.target for c in read_medmnist(root, settings).candidates if c.target is not None]
        else:
            visits = [row for folder in sorted(root.glob("sub-*")) for row in read_sessions(root, folder.name).values()]
            file = root / "participants.tsv"
            rows: list[Mapping[Any, Any]] = [
                *(read_table(file, {}).to_dict("records") if file.is_file() else []),
                *visits,
            ]
            texts = [v for row in rows if (v := text_or_none(row.get(settings.target))) is not None]
        numbers = [number for v in texts if (number := number_or_none(v)) is not None]
        # Few distinct integers are class codes; fractions and many distinct numbers are measurements.
        measured = any(n % 1 for n in numbers) or len(set(numbers)) > 10
        measured = measured and len(numbers) > len(texts) / 2
        return "regression" if measured else "classification"
    if is_msd(root) or settings.derivatives or settings.label_suffix != "dseg":
        return "segmentation"
    try:
        find_derivative(root, settings)
    except UserError:
        return None
    return "segmentation"


def _purpose(index: Index, root: Path, settings: DataSettings) -> str:
    """Describe the task; without a task, list the suffixes of the available label maps."""
    from voxnas.data.label_maps import label_suffixes

    task = index.dataset["task"]
    if task == "segmentation":
        return "segmentation: " + ", ".join(f"{v} {name}" for v, name in index.dataset["labels"].items())
    if task:
        return f"{task} of {index.dataset['target']!r}" + "".join(f", {name}" for name in index.dataset["classes"])
    others = label_suffixes(root)
    return "images only" + (f" (for label maps: --label-suffix {' | '.join(others)})" if others else "")


def print_index(index: Index, root: Path) -> None:
    """Print an index as text tables; paths are relative to the folder of the data set."""
    from voxnas.data.units import twins_of
    from voxnas.io.tables import table_rows

    scans = index.scans
    if len(scans):
        columns = {
            "scan": list(scans["scan"]),
            "shape": _shapes(scans),
            "spacing mm": list(scans["spacing"].fillna("n/a")),
        }
        columns["axes"], columns["type"] = list(scans["orientation"].fillna("n/a")), list(scans["dtype"])
        if index.values:
            columns["labels"] = [",".join(map(str, _shorten(index.values[s]))) for s in scans["scan"]]
        elif index.dataset["target"]:
            by_event = index.dataset.get("unit") == "volume"
            texts = _events(scans, index.dataset["target"]) if by_event else list(scans["target"])
            columns[index.dataset["target"]] = texts
        widths = {name: max(len(name), *map(len, cells)) for name, cells in columns.items()}
        print("\n" + "  ".join(name.ljust(widths[name]) for name in columns).rstrip())
        for number, warnings in enumerate(scans["warnings"]):
            print("  ".join(cells[number].ljust(widths[name]) for name, cells in columns.items()).rstrip())
            for text in warnings.split(";") if isinstance(warnings, str) else ():
                print(f"  ! {text}")
    if len(index.excluded):
        print("\nExcluded:")
        for row in table_rows(index.excluded):
            file = Path(row.file)
            print(f"  {file.relative_to(root) if root in file.parents else file}: {row.reason}")
    for names in twins_of(scans):
        print(f"\nIdentical voxels: {', '.join(names)} (never divided between splits)")
    if not index.dataset["identified"]:
        print(f"\nParticipants are unknown: {index.dataset['doubt'] or 'every scan counts as a participant'}")
    if index.dataset["task"] and len(scans):
        _print_size(index)
    doubtful = int(scans["warnings"].notna().sum())
    print(f"\n{len(scans)} usable ({doubtful} with warnings), {len(index.excluded)} excluded")


def _print_size(index: Index) -> None:
    """Print what a study of this size can show with the default splits, or why it is impossible."""
    from voxnas.benchmark.detectable import describe_size
    from voxnas.core.errors import UserError
    from voxnas.core.settings import SplitSettings
    from voxnas.data.splits import make_splits

    settings, task = SplitSettings(), index.dataset["task"]
    volumes = index.dataset.get("unit") == "volume"
    print(f"\nSize, with splits.test = {settings.test} and splits.folds = {settings.folds}:")
    try:
        splits = make_splits(index.scans, task, settings.test, settings.folds, 0, per_volume=volumes)
    except UserError as error:
        print(f"  no study: {error}")
        return
    for sentence in describe_size(index.scans, splits, task, index.dataset["identified"]):
        print(f"  {sentence}")


def _events(scans: pd.DataFrame, column: str) -> list[str]:
    """Kinds of events of each run with their numbers."""
    from voxnas.data.stimuli import read_events

    counts = [read_events(path)[column].value_counts().sort_index() for path in scans["events"]]
    return [", ".join(f"{kind} {number}" for kind, number in count.items()) for count in counts]


def _shapes(scans: pd.DataFrame) -> list[str]:
    """Shape of each scan, with the number of channels or volumes if above one."""
    from voxnas.io.tables import table_rows

    texts = []
    for row in table_rows(scans):
        extra = f" {row.channels} channels" if row.channels > 1 else f" {row.frames} volumes" if row.frames > 1 else ""
        texts.append(row.shape + extra)
    return texts


def _shorten(values: list[int]) -> list[object]:
    return [*values] if len(values) <= 8 else [*values[:3], "...", values[-1]]
