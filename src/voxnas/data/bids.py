"""Reader of BIDS data sets: raw images or the images of a derivative, each with its associated files.

The standard is Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44; derivatives: BIDS 1.4 and later. Folders are listed
and names parsed without pybids (docs/decisions/0008-bids.md has the measurements); the tests compare entities and
inherited metadata with pybids.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from voxnas.core.errors import ScanError, UserError, suggest
from voxnas.core.settings import DataSettings
from voxnas.data.bids_files import BidsFiles
from voxnas.data.bids_names import TIME_SUFFIXES, parse_name
from voxnas.data.filters import filter_images
from voxnas.data.label_maps import find_derivative, label_maps, label_of, read_label_names
from voxnas.data.layout import MAX_REPETITION_S, Candidate, Layout, Suggestion, read_description
from voxnas.data.participants import Row, check_column, read_participants, read_sessions, site_of, target_of

REGULAR_S = 1e-3  # volumes are evenly spaced if their steps differ by less, in seconds


def is_bids(root: Path) -> bool:
    """Return whether a folder has folders of participants."""
    return any(p.is_dir() for p in root.glob("sub-*"))


def read_bids(
    root: Path, task: str | None, settings: DataSettings, unit: str = "run", pick: Suggestion | None = None
) -> Layout:
    """Read the scans of a BIDS data set.

    Parameters
    ----------
    root : path
        The data set's folder.
    task : {"segmentation", "classification", "regression"} or None
        The task; None reads the images alone.
    settings : DataSettings
        Suffixes, filters, derivatives and target column.
    unit : {"volume", "run", "participant"}
        The unit that has a target; targets of volumes are in the events.
    pick : callable, optional
        Selects candidates before their sidecars and associated files are searched.

    Raises
    ------
    UserError
        If the data set has no images of the suffix, no images that pass the filters, no label maps, no target column,
        or images in several spaces.
    """
    raw, description = BidsFiles(root), _description(root)
    tree = BidsFiles(_images_folder(root, settings.images)) if settings.images else raw
    unreadable = [
        Candidate(scan=path.name, participant=path.name, images=(path,), problem=reason)
        for path, reason in tree.unreadable()
    ]
    images = _find_images(tree, settings)
    people = read_participants(root) or read_participants(tree.root)
    by_person = task in ("classification", "regression") and unit != "volume"
    # The value of a session has precedence, unless the unit is the participant.
    visits, damaged = _visits(root, images) if by_person and unit != "participant" else ({}, {})
    if by_person:
        check_column(root, {**people, **{"/".join(visit): row for visit, row in visits.items()}}, settings.target)
    derivative = find_derivative(root, settings) if task == "segmentation" else None
    found = label_maps(derivative, settings.label_suffix) if derivative else []
    maps: dict[str, list[Path]] = {}
    for path in found:
        maps.setdefault(parse_name(path).participant, []).append(path)
    preprocessed = bool(settings.images) or description.get("DatasetType") == "derivative"
    candidates = unreadable
    for image in images:
        name = parse_name(image)
        participant, session = name.participant, name.entities.get("ses", "")
        row = {**people.get(participant, {}), **visits.get((participant, session), {})} or None
        label, target, problem = None, None, ""
        if task == "segmentation":
            label, problem = label_of(name, maps.get(participant, []), settings.label_suffix)
        elif by_person:
            target, problem = target_of(participant, row, settings.target, task == "regression")
            problem = damaged.get(participant, problem)
        candidates.append(
            Candidate(
                scan=name.scan,
                participant=participant,
                session=session,
                site=site_of(row),
                images=(image,),
                label=label,
                target=target,
                problem=problem,
                task=name.entities.get("task", ""),
                run=name.entities.get("run", ""),
                space=name.entities.get("space", ""),
                preprocessed=preprocessed or name.entities.get("desc") == "preproc",
            )
        )
    if pick is not None:
        candidates = pick(candidates)
    folders = [p for p in sorted((root / "derivatives").glob("*")) if p.is_dir()]
    derivatives = list(map(BidsFiles, folders))  # which may hold the brain mask of a raw run
    return Layout(
        "bids",
        " ".join(str(description.get("Name") or "").split()) or root.name,
        [_complete(candidate, raw, tree, derivatives) for candidate in candidates],
        [settings.suffix],
        read_label_names(derivative, found, settings.label_suffix) if derivative else {},
    )


def _visits(root: Path, images: Sequence[Path]) -> tuple[dict[tuple[str, str], Row], dict[str, str]]:
    """Read the sessions.tsv of all participants with sessions.

    Returns
    -------
    visits : dict
        Rows by participant and session label.
    damaged : dict
        Reason by participant whose table is damaged.
    """
    names = map(parse_name, images)
    visits: dict[tuple[str, str], Row] = {}
    damaged: dict[str, str] = {}
    for person in sorted({name.participant for name in names if "ses" in name.entities}):
        try:
            visits |= {(person, label): row for label, row in read_sessions(root, person).items()}
        except UserError as error:
            damaged[person] = str(error)
    return visits, damaged


def _description(root: Path) -> dict[str, Any]:
    path = root / "dataset_description.json"
    return read_description(path) if path.is_file() else {}


def _images_folder(root: Path, name: str) -> Path:
    """Return the folder under derivatives/ with preprocessed images."""
    folder = root / "derivatives" / name
    if not is_bids(folder):
        inside = [p.name for p in (root / "derivatives").glob("*") if is_bids(p)]
        raise UserError(f"{folder} has no folders sub-* (data.images = {name!r})", suggest(name, inside))
    return folder


def _find_images(tree: BidsFiles, settings: DataSettings) -> list[Path]:
    """List the images of a tree that the settings select, one for each scan."""
    end = f"_{settings.suffix}"
    names = {p: parse_name(p) for p in tree.images(lambda n: n.endswith(end))}
    images = [p for p, name in names.items() if name.suffix == settings.suffix]
    if not images:
        suffixes = {parse_name(p).suffix for p in tree.images(lambda n: True)}
        raise UserError(f"{tree.root}: no image has the suffix {settings.suffix!r}", suggest(settings.suffix, suffixes))
    if "desc" not in settings.filters:
        # A derivative keeps intermediate images beside the final one, which fMRIPrep names preproc.
        images = [p for p in images if names[p].entities.get("desc") == "preproc"] or images
    images = filter_images(images, settings.filters)
    spaces = {names[p].entities.get("space", "") for p in images}
    if len(spaces) > 1:
        told = ", ".join(sorted(s or "'' (the image's own)" for s in spaces))
        raise UserError(f"{tree.root}: the images are in {len(spaces)} spaces: {told}",
                        "set data.filters.space to one of them; an image in two spaces is one scan")  # fmt: skip
    return images


def _complete(candidate: Candidate, raw: BidsFiles, tree: BidsFiles, derivatives: list[BidsFiles]) -> Candidate:
    """Add its associated files and metadata to the candidate if it is a run.

    A damaged sidecar is a reason to exclude a run, whose timing is unknown without it, and a doubt about other images.
    """
    image = candidate.images[0]
    around = [tree] if candidate.preprocessed else [raw, *derivatives]
    # Path of the raw image of a preprocessed image, with the entities that derivatives add to the name.
    twin = raw.root / image.relative_to(tree.root)
    named = parse_name(image).suffix in TIME_SUFFIXES
    try:
        sidecar = tree.sidecar(image) if tree is raw else raw.timing(twin) | tree.sidecar(image)
        if not (named or "VolumeTiming" in sidecar or "FrameTimesStart" in sidecar):
            return candidate
        seconds = repetition_time(sidecar)
    except ScanError as error:
        if named:
            return replace(candidate, problem=candidate.problem or str(error))
        return replace(candidate, doubts=(f"metadata not read: {error.what}",))
    return replace(
        candidate,
        last_axis="time",
        repetition_time=seconds,
        events=raw.events(twin),
        confounds=tree.confounds(image),
        masks=tuple(mask for files in around for mask in files.masks(image)),
        anatomical=raw.anatomical(image),
        sidecar=sidecar,
    )


def repetition_time(sidecar: dict[str, Any]) -> float | None:
    """Return the repetition time in s by a sidecar: ``RepetitionTime``, or the steps of a regular ``VolumeTiming``.

    Raises
    ------
    ScanError
        If one of the two is no duration in s.
    """
    step, onsets = sidecar.get("RepetitionTime"), sidecar.get("VolumeTiming")
    if step is not None and step != 0:  # converters write 0 for an unknown time
        if _is_number(step) and 0 < step <= MAX_REPETITION_S:
            return float(step)
        raise ScanError(f"RepetitionTime is {json.dumps(step)} in the sidecar",
                        f"write seconds, above 0 and at most {MAX_REPETITION_S:g}")  # fmt: skip
    if onsets is None:
        return None
    if not isinstance(onsets, list) or not all(map(_is_number, onsets)):
        raise ScanError("VolumeTiming in the sidecar is not a list of numbers", "write the onsets in seconds")
    steps = np.diff(np.array(onsets, dtype=float))
    regular = steps.size and steps.min() > 0 and steps.max() <= MAX_REPETITION_S and np.ptp(steps) < REGULAR_S
    return float(np.median(steps)) if regular else None


def _is_number(value: Any) -> bool:
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**53)
