"""Reader of BIDS data sets: raw images or the images of a derivative, each with its associated files.

The standard is Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44; derivatives: BIDS 1.4 and later. Folders are listed
and names parsed without pybids (docs/decisions/0008-bids.md has the measurements); the tests compare entities and
inherited metadata with pybids.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from voxnas.core.errors import UserError, suggest
from voxnas.core.settings import DataSettings
from voxnas.data.bids_files import BidsFiles
from voxnas.data.bids_names import TIME_SUFFIXES, parse_name
from voxnas.data.filters import filter_images
from voxnas.data.label_maps import find_derivative, label_maps, label_of, read_label_names
from voxnas.data.layout import Candidate, Layout, Suggestion, read_description
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
    images = _find_images(tree, settings)
    people = read_participants(root) or read_participants(tree.root)
    by_person = task in ("classification", "regression") and unit != "volume"
    # The value of a session has precedence, unless the unit is the participant.
    visits = _visits(root, images) if by_person and unit != "participant" else {}
    if by_person:
        check_column(root, {**people, **{"/".join(visit): row for visit, row in visits.items()}}, settings.target)
    derivative = find_derivative(root, settings) if task == "segmentation" else None
    found = label_maps(derivative, settings.label_suffix) if derivative else []
    maps: dict[str, list[Path]] = {}
    for path in found:
        maps.setdefault(parse_name(path).participant, []).append(path)
    preprocessed = bool(settings.images) or description.get("DatasetType") == "derivative"
    candidates = []
    for image in images:
        name = parse_name(image)
        participant, session = name.participant, name.entities.get("ses", "")
        row = {**people.get(participant, {}), **visits.get((participant, session), {})} or None
        label, target, problem = None, None, ""
        if task == "segmentation":
            label, problem = label_of(name, maps.get(participant, []), settings.label_suffix)
        elif by_person:
            target, problem = target_of(participant, row, settings.target, task == "regression")
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


def _visits(root: Path, images: Sequence[Path]) -> dict[tuple[str, str], Row]:
    """Read the sessions.tsv of all participants with sessions; rows by participant and session label."""
    names = map(parse_name, images)
    people = sorted({name.participant for name in names if "ses" in name.entities})
    return {(person, label): row for person in people for label, row in read_sessions(root, person).items()}


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
    """Add its associated files and metadata to the candidate if it is a run."""
    image = candidate.images[0]
    around = [tree] if candidate.preprocessed else [raw, *derivatives]
    # Path of the raw image of a preprocessed image, with the entities that derivatives add to the name.
    twin = raw.root / image.relative_to(tree.root)
    sidecar = tree.sidecar(image) if tree is raw else raw.timing(twin) | tree.sidecar(image)
    named = parse_name(image).suffix in TIME_SUFFIXES
    if not (named or "VolumeTiming" in sidecar or "FrameTimesStart" in sidecar):
        return candidate
    return replace(
        candidate,
        last_axis="time",
        repetition_time=repetition_time(sidecar),
        events=raw.events(twin),
        confounds=tree.confounds(image),
        masks=tuple(mask for files in around for mask in files.masks(image)),
        anatomical=raw.anatomical(image),
        sidecar=sidecar,
    )


def repetition_time(sidecar: dict[str, Any]) -> float | None:
    """Return the repetition time in s by a sidecar: ``RepetitionTime``, or the steps of a regular ``VolumeTiming``."""
    step = sidecar.get("RepetitionTime")
    if isinstance(step, (int, float)) and step > 0:
        return float(step)
    onsets = sidecar.get("VolumeTiming")
    if isinstance(onsets, list) and len(onsets) > 1 and all(isinstance(t, (int, float)) for t in onsets):
        steps = np.diff(onsets)
        if steps.min() > 0 and np.ptp(steps) < REGULAR_S:
            return float(np.median(steps))
    return None
