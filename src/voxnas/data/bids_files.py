"""What belongs to an image of a BIDS data set: its metadata, events, confounds, mask and T1w image.

A file applies to an image when it lies in the image's folder or above it, has the right suffix, and
none of its entities differs from the image's ("inheritance principle", BIDS 1.10). Every folder is
listed once, so that 5,000 participants take seconds.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Set
from functools import cached_property
from pathlib import Path
from typing import Any

from voxnas.data.bids_names import ADDED_ENTITIES, IMAGE_ENDS, BidsName, parse_name, same_value
from voxnas.data.layout import stem

CONFOUND_SUFFIXES = ("timeseries", "regressors", "confounds")
# A preprocessed image takes these from the raw one where its own sidecar lacks them.
TIMING = ("RepetitionTime", "VolumeTiming", "TaskName")


def fits(name: BidsName, other: BidsName, free: Set[str] = frozenset()) -> bool:
    """Whether the entities of `other`, but for the free ones, are all `name`'s."""
    own = name.entities
    return all(k in own and same_value(own[k], v) for k, v in other.entities.items() if k not in free)


class BidsFiles:
    """The files of one tree (raw data, or one folder under derivatives/), listed when asked for.

    Parameters
    ----------
    root : path
        Folder with ``sub-*`` folders.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[Path, tuple[list[Path], list[Path]]] = {}
        self._records: dict[Path, dict[str, Any]] = {}
        self._walked: dict[str, list[Path]] = {}

    @cached_property
    def participants(self) -> list[str]:
        """Names of the folders ``sub-*``, sorted."""
        with os.scandir(self.root) as entries:
            return sorted(e.name for e in entries if e.name.startswith("sub-") and e.is_dir())

    def _list(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """Files and folders in one folder, sorted; none where it does not exist."""
        if folder not in self._listings:
            files: list[str] = []
            folders: list[str] = []
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if not entry.name.startswith("."):
                            (folders if entry.is_dir() else files).append(entry.name)
            except OSError:
                pass
            self._listings[folder] = [folder / n for n in sorted(files)], [folder / n for n in sorted(folders)]
        return self._listings[folder]

    def files(self, participant: str) -> list[Path]:
        """All files of a participant, folder by folder; what lies in folders that are files (``*.ds``) is none."""
        if participant not in self._walked:
            found: list[Path] = []
            waiting = [self.root / participant]
            while waiting:
                files, folders = self._list(waiting.pop(0))
                found += files
                waiting += [f for f in folders if f.suffix != ".ds"]
            self._walked[participant] = found
        return self._walked[participant]

    def images(self, wanted: Callable[[str], bool]) -> list[Path]:
        """NIfTI files of all participants whose file name, without its ending, is wanted."""
        found = []
        for participant in self.participants:
            for path in self.files(participant):
                if path.name.endswith(IMAGE_ENDS) and wanted(stem(path)):
                    found.append(path)
        return sorted(found)

    def _above(self, image: Path) -> list[Path]:
        """Folders from the image's up to the root."""
        levels = len(image.parent.parts) - len(self.root.parts)
        return list(image.parents)[: levels + 1]

    def applying(self, image: Path, suffix: str, end: str) -> list[Path]:
        """Files that apply to an image, the one that counts most last: nearer ones, then those with more entities.

        Files of one level with equally many entities are in the order of their names.
        """
        name = parse_name(image)
        ending = f"{suffix}{end}"
        found = []
        for level, folder in enumerate(reversed(self._above(image))):
            for path in self._list(folder)[0]:
                if path.name.endswith(ending):
                    other = parse_name(path)
                    if other.suffix == suffix and fits(name, other):
                        found.append((level, len(other.entities), path))
        return [path for *_, path in sorted(found)]

    def sidecar(self, image: Path) -> dict[str, Any]:
        """Metadata of an image by inheritance, key by key: what is nearer to the image wins."""
        merged: dict[str, Any] = {}
        for path in self.applying(image, parse_name(image).suffix, ".json"):
            merged |= self._record(path)
        return merged

    def _record(self, path: Path) -> dict[str, Any]:
        """A JSON object; empty where it is damaged, which takes nothing from the image."""
        if path not in self._records:
            try:
                record = json.loads(path.read_text(encoding="utf-8-sig"))
            except (OSError, ValueError):
                record = {}
            self._records[path] = record if isinstance(record, dict) else {}
        return self._records[path]

    def events(self, image: Path) -> Path | None:
        """The table of events of a run; of several that apply the nearest, for tables are not merged."""
        found = self.applying(image, "events", ".tsv")
        return found[-1] if found else None

    def timing(self, image: Path) -> dict[str, Any]:
        """What the sidecars of a raw image say of when its volumes were taken."""
        raw = self.sidecar(image)
        return {key: raw[key] for key in TIMING if key in raw}

    def confounds(self, image: Path) -> Path | None:
        """The table of confounds beside a run (fMRIPrep's names of all versions)."""
        name = parse_name(image)
        found = []
        for path in self._list(image.parent)[0]:
            if path.name.endswith(".tsv"):
                other = parse_name(path)
                kind = other.entities.get("desc", "confounds") == "confounds" and other.suffix in CONFOUND_SUFFIXES
                if kind and fits(name, other, {"desc"}):
                    found.append((len(other.entities), path))
        return max(found)[1] if found else None

    def masks(self, image: Path) -> list[Path]:
        """Brain masks that may be an image's, likeliest first: of its participant, run and space, if they say."""
        name = parse_name(image)
        folder = f"sub-{name.entities.get('sub', '')}"
        space = name.entities.get("space", "")
        free = ADDED_ENTITIES - {"space"}
        found = []
        for path in self.files(folder):
            if not path.name.removesuffix(".gz").endswith("mask.nii"):
                continue
            other = parse_name(path)
            brain = "brain" in (other.entities.get("desc"), other.entities.get("label"))
            here = other.entities.get("space", "") == space
            if other.suffix == "mask" and brain and here and fits(name, other, free):
                common = sum(k in name.entities for k in other.entities)
                found.append((-common, path))
        return [path for _, path in sorted(found)]

    def anatomical(self, image: Path) -> Path | None:
        """A T1w image of the run's participant that is not empty, of the same session where there is one."""
        entities = parse_name(image).entities
        found = []
        for path in self.files(f"sub-{entities.get('sub', '')}"):
            if path.name.removesuffix(".gz").endswith("_T1w.nii"):
                other = parse_name(path)
                readable = path.exists() and path.stat().st_size > 0
                if other.suffix == "T1w" and readable and not ADDED_ENTITIES & other.entities.keys():
                    found.append((other.entities.get("ses") != entities.get("ses"), path))
        return min(found)[1] if found else None
