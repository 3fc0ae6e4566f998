"""Reader of BIDS data sets: images by suffix, targets from participants.tsv, label maps from derivatives.

It reads names with pathlib. pybids would bring a database layer, a dozen packages and seconds of
start-up for what is here a split at ``_`` and ``-``, and it refuses data sets that are not quite
valid (a missing dataset_description.json), which people have.

The standard: Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.layout import Candidate, Layout, choose, read_description, stem
from voxnas.io.tables import read_table

TIME_SUFFIXES = {"bold", "cbv", "asl", "pet"}
# Entities that a derivative may add to the name of the image it was made from.
ADDED_ENTITIES = {"space", "res", "den", "desc", "label", "seg", "atlas", "hemi"}
OWN_SPACES = {"orig", "T1w", "T2w", "native", "individual"}
MISSING = {"", "n/a", "N/A", "na", "NA", "nan", "NaN"}
SITE_COLUMNS = ("site", "site_id")


@dataclass(frozen=True)
class BidsName:
    """A file name taken apart: entities and suffix."""

    entities: dict[str, str]
    suffix: str

    @property
    def scan(self) -> str:
        """The entities as text, such as ``sub-01_ses-a_run-1``."""
        return "_".join(f"{key}-{value}" for key, value in self.entities.items())


def parse_name(path: Path) -> BidsName:
    """Take a BIDS file name apart; what follows the entities is the suffix (``T1w``, ``T1w_seg-manual``)."""
    parts = stem(path).split("_")
    entities = {}
    while len(parts) > 1 and parts[0].count("-") == 1:
        key, _, value = parts.pop(0).partition("-")
        entities[key] = value
    return BidsName(entities, "_".join(parts))


def is_bids(root: Path) -> bool:
    """Whether a folder has folders of participants."""
    return any(p.is_dir() for p in root.glob("sub-*"))


def _images(folder: Path, suffix: str) -> list[Path]:
    """Image files of all participants whose names end with the suffix."""
    found = [p for end in (".nii.gz", ".nii") for p in folder.glob(f"sub-*/**/*_{suffix}{end}")]
    return sorted(p for p in found if not p.name.startswith("."))


def read_bids(root: Path, task: str | None, settings: DataSettings) -> Layout:
    """Read the scans of a BIDS data set.

    Parameters
    ----------
    root : path
        The data set's folder.
    task : {"segmentation", "classification", "regression"} or None
        What the scans are for; None for the images alone.
    settings : DataSettings
        Suffixes, derivative and target column.

    Raises
    ------
    UserError
        If there are no images of the suffix, no label maps, or no such column.
    """
    images = [p for p in _images(root, settings.suffix) if parse_name(p).suffix == settings.suffix]
    if not images:
        suffixes = {parse_name(p).suffix for p in _images(root, "*")}
        raise UserError(f"{root}: no image has the suffix {settings.suffix!r}", choose(settings.suffix, suffixes))
    people = read_participants(root)
    if task in ("classification", "regression"):
        _check_column(root, people, settings.target)
    derivative = find_derivative(root, settings) if task == "segmentation" else None
    found = _images(derivative, settings.label_suffix) if derivative else []
    maps: dict[str, list[Path]] = {}
    for path in found:
        maps.setdefault(path.relative_to(derivative).parts[0], []).append(path)
    candidates = []
    for image in images:
        name = parse_name(image)
        participant = f"sub-{name.entities.get('sub', '')}"
        row = people.get(participant)
        label, target, problem = None, None, ""
        if task == "segmentation":
            label, problem = _label_of(name, image, maps.get(participant, []), settings.label_suffix)
        elif task is not None:
            target, problem = _target_of(participant, row, settings.target, task == "regression")
        sidecar = read_sidecar(root, image)
        timed = name.suffix in TIME_SUFFIXES or "VolumeTiming" in sidecar or "FrameTimesStart" in sidecar
        step = sidecar.get("RepetitionTime")
        candidates.append(
            Candidate(
                scan=name.scan,
                participant=participant,
                session=name.entities.get("ses", ""),
                site=next((v for c in SITE_COLUMNS if (v := (row or {}).get(c))), ""),
                images=(image,),
                label=label,
                target=target,
                last_axis="time" if timed else "none",
                repetition_time=float(step) if isinstance(step, (int, float)) and step > 0 else None,
                problem=problem,
            )
        )
    return Layout(
        "bids",
        _name(root),
        candidates,
        [settings.suffix],
        read_label_names(derivative, found, settings.label_suffix) if derivative else {},
    )


def _name(root: Path) -> str:
    path = root / "dataset_description.json"
    name = read_description(path).get("Name") if path.is_file() else ""
    return " ".join(str(name or "").split()) or root.name


def read_participants(root: Path) -> dict[str, dict[str, str | None]]:
    """Rows of participants.tsv by participant id; missing values are None, all others texts as they stand."""
    path = root / "participants.tsv"
    if not path.is_file():
        return {}
    table = read_table(path, {"participant_id": str})
    people: dict[str, dict[str, str | None]] = {}
    for row in table.to_dict("records"):
        values = {k: None if pd.isna(v) or str(v).strip() in MISSING else str(v).strip() for k, v in row.items()}
        name = f"sub-{str(values.pop('participant_id')).removeprefix('sub-')}"
        if people.setdefault(name, values) != values:
            raise UserError(f"{path}: {name} has two rows that differ", "keep one row for each participant")
    return people


def _check_column(root: Path, people: dict[str, dict[str, str | None]], target: str) -> None:
    path = root / "participants.tsv"
    if not people:
        raise UserError(f"{path} does not exist or is empty", "it must hold the target, one row for each participant")
    columns = list(next(iter(people.values())))
    if target not in columns:
        raise UserError(f"{path} has no column {target!r} (data.target)", choose(target, columns))


def _target_of(
    participant: str, row: dict[str, str | None] | None, column: str, numeric: bool
) -> tuple[str | None, str]:
    """Target text, or None and the reason."""
    if row is None:
        return None, f"participants.tsv has no row for {participant}"
    value = row[column]
    if value is None:
        return None, f"{column} of {participant} is missing (n/a) in participants.tsv"
    if numeric:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            return None, f"{column} of {participant} is {value!r}, not a number"
    return value, ""


def find_derivative(root: Path, settings: DataSettings) -> Path:
    """The folder under derivatives/ that holds the label maps."""
    folders = [p for p in sorted((root / "derivatives").glob("*")) if p.is_dir()]
    suffix = settings.label_suffix
    if settings.derivatives:
        folder = root / "derivatives" / settings.derivatives
        if not folder.is_dir():
            raise UserError(
                f"{folder} does not exist (data.derivatives)", choose(folder.name, [f.name for f in folders])
            )
        folders = [folder]
    having = [f for f in folders if _images(f, suffix)]
    if not having:
        raise UserError(
            f"{root / 'derivatives' / settings.derivatives}: no label map *_{suffix}.nii.gz (data.label_suffix)",
            choose(suffix, label_suffixes(root)),
        )
    if len(having) > 1:
        raise UserError(
            f"{root}: {len(having)} derivatives have label maps *_{suffix}.nii.gz",
            f"set data.derivatives to one of {', '.join(f.name for f in having)}",
        )
    return having[0]


def label_suffixes(root: Path) -> list[str]:
    """Suffixes of images under derivatives/ that may be label maps."""
    suffixes = {parse_name(p).suffix for p in root.glob("derivatives/*/sub-*/**/*.nii*")}
    return sorted({s.partition("_")[2] or s for s in suffixes} - TIME_SUFFIXES)


def _label_of(name: BidsName, image: Path, maps: list[Path], suffix: str) -> tuple[Path | None, str]:
    """The label map of an image, or None and the reason."""
    fits = []
    for path in maps:
        other = parse_name(path)
        if other.suffix == f"{name.suffix}_{suffix}":
            same = other.entities == name.entities
        else:
            own = {k: v for k, v in other.entities.items() if k in name.entities or k not in ADDED_ENTITIES}
            space = other.entities.get("space")
            elsewhere = space is not None and space != name.entities.get("space") and space not in OWN_SPACES
            same = other.suffix == suffix and own == name.entities and not elsewhere
        if same:
            fits.append(path)
    if not fits:
        return None, f"no label map *_{suffix}.nii.gz for it"
    if len(fits) > 1:
        return None, f"{len(fits)} label maps fit it ({', '.join(p.name for p in fits[:3])}), one must"
    return fits[0], ""


def read_label_names(derivative: Path, maps: list[Path], suffix: str) -> dict[int, str]:
    """Names of label values by a ``*dseg.tsv`` (columns index and name), {} where there is none.

    It stands at the root of the derivative or beside a label map.
    """
    folders = [derivative, *sorted({p.parent for p in maps})]
    tables = [p for f in folders for p in sorted({*f.glob(f"*{suffix}.tsv"), *f.glob("*dseg.tsv")})]
    labels: dict[int, str] = {}
    for path in tables:
        table = read_table(path, {"index": int, "name": str})
        for index, label in zip(table["index"], table["name"], strict=True):
            if labels.setdefault(int(index), str(label)) != str(label):
                raise UserError(f"{path}: label {index} is {label!r} here and {labels[int(index)]!r} elsewhere")
    return {0: "background"} | dict(sorted(labels.items())) if labels else {}


def read_sidecar(root: Path, image: Path) -> dict[str, object]:
    """Metadata of an image by the inheritance principle: files nearer to the image win."""
    name = parse_name(image)
    merged: dict[str, object] = {}
    folders = [f for f in (image.parent, *image.parent.parents) if f == root or root in f.parents]
    for folder in reversed(folders):
        fitting = []
        for path in folder.glob(f"*{name.suffix}.json"):
            other = parse_name(path)
            if other.suffix == name.suffix and other.entities.items() <= name.entities.items():
                fitting.append((len(other.entities), path))
        for _, path in sorted(fitting):
            try:
                merged.update(json.loads(path.read_text(encoding="utf-8-sig")))
            except (OSError, ValueError, TypeError):
                continue  # a damaged sidecar takes nothing from the image
    return merged
