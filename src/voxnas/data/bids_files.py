"""Files associated with an image of a BIDS data set: metadata, events, confounds, masks and T1w image.

A file applies to an image if it lies in the image's folder or above it, has the required suffix, and all its entities
are entities of the image ("inheritance principle", BIDS 1.10). Every folder is listed once, so that 5,000 participants
take seconds.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Set
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from voxnas.core.errors import ScanError, of_one_scan
from voxnas.data.bids_names import ADDED_ENTITIES, IMAGE_ENDS, BidsName, parse_name, same_value
from voxnas.data.layout import read_description, stem

CONFOUND_SUFFIXES = ("timeseries", "regressors", "confounds")
# A preprocessed image takes these keys from the raw image where its own sidecar lacks them.
TIMING = ("RepetitionTime", "VolumeTiming", "TaskName")


def fits(name: BidsName, other: BidsName, free: Set[str] = frozenset()) -> bool:
    """Return whether all entities of `other`, except the free ones, are entities of `name`."""
    own = name.entities
    return all(k in own and same_value(own[k], v) for k, v in other.entities.items() if k not in free)


def _ending_in(paths: Iterable[Path], *endings: str) -> Iterator[tuple[Path, BidsName]]:
    """Yield the paths with one of the endings, with their parsed names."""
    return ((path, parse_name(path)) for path in paths if path.name.endswith(endings))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _leads_up(link: Path) -> bool:
    """Return whether a link leads to a folder that contains it."""
    return link.parent.resolve().is_relative_to(link.resolve())


class BidsFiles:
    """The files of one tree (raw data, or one folder under derivatives/), listed on demand.

    Parameters
    ----------
    root : path
        Folder with ``sub-*`` folders.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._listings: dict[Path, tuple[list[Path], list[Path]]] = {}
        self._links: set[Path] = set()  # to folders
        self._walked: dict[str, list[Path]] = {}
        self._record = cache(read_description)

    @cached_property
    def participants(self) -> list[str]:
        """Names of the folders ``sub-*``, sorted."""
        return [path.name for path in self._list(self.root)[1] if path.name.startswith("sub-")]

    def _list(self, folder: Path) -> tuple[list[Path], list[Path]]:
        """List the files and the folders in a folder, sorted; hidden entries are ignored, a missing folder is empty.

        A link without a target, or to itself, is listed as a file, whose reader reports it.
        """
        if folder not in self._listings:
            try:
                with os.scandir(folder) as entries:
                    shown = sorted((e for e in entries if not e.name.startswith(".")), key=lambda e: e.name)
            except (FileNotFoundError, NotADirectoryError):
                shown = []
            except OSError as error:
                raise ScanError(f"{folder}: the folder cannot be listed: {error.strerror}") from None
            found = [(e.name, _is_folder(e)) for e in shown]
            self._links |= {folder / e.name for e, (_, is_dir) in zip(shown, found, strict=True)
                            if is_dir and e.is_symlink()}  # fmt: skip
            files = [folder / name for name, is_dir in found if not is_dir]
            self._listings[folder] = files, [folder / name for name, is_dir in found if is_dir]
        return self._listings[folder]

    def files(self, participant: str) -> list[Path]:
        """List all files of a participant.

        Folders that are data files themselves (``*.ds``) are not entered, and neither are links to a folder above them
        or to the target of an earlier link.
        """
        if participant not in self._walked:
            found: list[Path] = []
            waiting, linked = [self.root / participant], set()
            while waiting:
                folder = waiting.pop(0)
                if folder in self._links:
                    target = folder.resolve()
                    if target in linked or _leads_up(folder):
                        continue
                    linked.add(target)
                files, folders = self._list(folder)
                found += files
                waiting += [f for f in folders if f.suffix != ".ds"]
            self._walked[participant] = found
        return self._walked[participant]

    def unreadable(self) -> Iterator[tuple[Path, str]]:
        """Yield the folders of participants that cannot be read, with the reasons."""
        for path in self._list(self.root)[0]:
            if path.name.startswith("sub-") and path.is_symlink() and not path.exists():
                yield path, "a link to missing content"
        for participant in self.participants:
            folder = self.root / participant
            if folder in self._links and _leads_up(folder):
                yield folder, "a link to a folder that contains it"
            try:
                self.files(participant)
            except ScanError as error:
                yield folder, error.what
                self._walked[participant] = []

    def images(self, wanted: Callable[[str], bool]) -> list[Path]:
        """List the NIfTI files of all participants for which `wanted` accepts the file name without its ending."""
        paths = (path for participant in self.participants for path in self.files(participant))
        return sorted(path for path in paths if path.name.endswith(IMAGE_ENDS) and wanted(stem(path)))

    def applying(self, image: Path, suffix: str, end: str) -> list[Path]:
        """List the files that apply to an image, in ascending precedence: by level, number of entities, and name."""
        name = parse_name(image)
        levels = len(image.parent.parts) - len(self.root.parts)
        above = list(image.parents)[levels::-1]  # from the root down to the image's folder
        found = [
            (level, len(other.entities), path)
            for level, folder in enumerate(above)
            for path, other in _ending_in(self._list(folder)[0], suffix + end)
            if other.suffix == suffix and fits(name, other)
        ]
        return [path for *_, path in sorted(found)]

    def sidecar(self, image: Path) -> dict[str, Any]:
        """Merge the metadata of an image by inheritance, key by key; files nearer to the image have precedence.

        Raises
        ------
        ScanError
            If one of the files is damaged.
        """
        merged: dict[str, Any] = {}
        for path in self.applying(image, parse_name(image).suffix, ".json"):
            with of_one_scan():
                merged |= self._record(path)
        return merged

    def timing(self, image: Path) -> dict[str, Any]:
        """Return the keys of a raw image's metadata that describe the timing of its volumes."""
        return {key: value for key, value in self.sidecar(image).items() if key in TIMING}

    def events(self, image: Path) -> Path | None:
        """Find the table of events of a run; of several that apply, the nearest, because tables are not merged."""
        return next(reversed(self.applying(image, "events", ".tsv")), None)

    def confounds(self, image: Path) -> Path | None:
        """Find the table of confounds beside a run (names of all versions of fMRIPrep)."""
        name = parse_name(image)
        found = [
            (len(other.entities), path)
            for path, other in _ending_in(self._list(image.parent)[0], ".tsv")
            if other.entities.get("desc", "confounds") == "confounds"
            and other.suffix in CONFOUND_SUFFIXES
            and fits(name, other, {"desc"})
        ]
        return max(found)[1] if found else None

    def masks(self, image: Path) -> list[Path]:
        """List the possible brain masks of an image, by descending number of shared entities (run, session ..)."""
        name = parse_name(image)
        free = ADDED_ENTITIES - {"space"}
        found = [
            (-sum(key in name.entities for key in other.entities), path)
            for path, other in _ending_in(self.files(name.participant), "mask.nii", "mask.nii.gz")
            if other.suffix == "mask"
            and "brain" in (other.entities.get("desc"), other.entities.get("label"))
            and other.entities.get("space", "") == name.entities.get("space", "")
            and fits(name, other, free)
        ]
        return [path for _, path in sorted(found)]

    def anatomical(self, image: Path) -> Path | None:
        """Find a raw T1w image of the run's participant that is not empty, preferably of the same session."""
        name = parse_name(image)
        found = [
            (other.entities.get("ses") != name.entities.get("ses"), path)
            for path, other in _ending_in(self.files(name.participant), "_T1w.nii", "_T1w.nii.gz")
            if other.suffix == "T1w"
            and not ADDED_ENTITIES & other.entities.keys()
            and path.exists()
            and path.stat().st_size > 0
        ]
        return min(found)[1] if found else None
