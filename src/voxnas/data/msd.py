"""Reader of the Medical Segmentation Decathlon layout and of nnU-Net's raw data sets.

Both have a ``dataset.json``. MSD (Simpson et al. 2019, arXiv:1902.09063) lists its ``training``
pairs, defines ``modality`` {"0": "MRI"} and ``labels`` {"0": "background"}, and stores channels in the
last axis of one file. nnU-Net v2 (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z) defines
``channel_names`` and ``labels`` {"background": 0}, and has one file for each channel,
``imagesTr/<case>_0000<file_ending>``, beside ``labelsTr/<case><file_ending>``.

Neither layout names participants or targets; :mod:`voxnas.data.cases` reads them.
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.cases import identify
from voxnas.data.layout import Candidate, Layout, read_description, stem
from voxnas.io.nifti import MAX_LABELS


def is_msd(root: Path) -> bool:
    """Return whether a folder has a dataset.json."""
    return (root / "dataset.json").is_file()


def read_msd(root: Path, task: str | None, settings: DataSettings, test_folder: bool = False) -> Layout:
    """Read the scans of a dataset.json.

    Parameters
    ----------
    root : path
        The data set's folder.
    task : {"segmentation", "classification", "regression"} or None
        The task. Segmentation needs label maps, classification and regression need targets.
    settings : DataSettings
        Pattern of the participant, and column of the target.
    test_folder : bool
        Whether to read imagesTs and labelsTs too, as the subset ``test``.

    Raises
    ------
    UserError
        If dataset.json is missing, damaged or incomplete, or imagesTs has no scans.
    """
    path = root / "dataset.json"
    description = read_description(path)
    names = description.get("channel_names") or description.get("modality")
    if not isinstance(names, dict) or not names:
        raise UserError(f"{path} has no channels", 'add "channel_names": {"0": "T1"} (nnU-Net) or "modality" (MSD)')
    try:
        channels = [str(names[key]) for key in sorted(names, key=int)]
    except ValueError:
        raise UserError(f"{path}: the keys of the channels must be numbers, not {', '.join(names)}") from None
    mapped = task == "segmentation"
    labels = _labels(path, description.get("labels")) if mapped else {}

    def read(part: str, pairs: Any) -> list[Candidate]:
        if isinstance(description.get("training"), list):
            return _listed(root, path, pairs, mapped)
        ending = str(description.get("file_ending", ".nii.gz"))
        return _globbed(root, ending, len(channels), part, mapped)

    candidates = read("Tr", description.get("training"))
    if not candidates:
        raise UserError(f"{path} lists no training scans")
    if test_folder:
        tested = read("Ts", _test_pairs(description))
        if not tested:
            raise UserError(f"{path} lists no test scans (splits.test = folder)", "set splits.test to a fraction")
        candidates += [replace(candidate, subset="test") for candidate in tested]
    candidates, identified, doubt = identify(root, candidates, task, settings)
    name = str(description.get("name") or root.name)
    return Layout("msd", name, candidates, channels, labels, identified=identified, doubt=doubt)


def _test_pairs(description: dict[str, Any]) -> list[dict[str, str]]:
    """Return the pairs of MSD's test scans: it lists their images, and labels have the same names in labelsTs."""
    images = [entry.get("image") if isinstance(entry, dict) else entry for entry in description.get("test") or []]
    return [{"image": image, "label": f"labelsTs/{Path(image).name}"} for image in images if isinstance(image, str)]


def _labels(path: Path, raw: Any) -> dict[int, str]:
    """Parse label names of either form, {"0": name} or {name: 0}."""
    if not isinstance(raw, dict) or not raw:
        raise UserError(f"{path} has no labels", 'add "labels": {"background": 0, "name": 1}')
    labels = {}
    for key, value in raw.items():
        number, name = (key, value) if str(key).lstrip("-").isdigit() and isinstance(value, str) else (value, key)
        if isinstance(number, list) or str(name).lower() == "ignore":
            raise UserError(
                f"{path}: label {key!r}: regions and the ignore label of nnU-Net are not supported",
                "give every label one value",
            )
        try:
            if isinstance(number, bool):
                raise TypeError
            labels[int(number)] = str(name)
        except (TypeError, ValueError):
            raise UserError(f"{path}: label {key!r}: {value!r} is not a pair of a number and a name") from None
    if min(labels) < 0 or max(labels) >= 2**31 or len(labels) != len(raw):
        raise UserError(
            f"{path}: label values must be distinct integers from 0 to {2**31 - 1}, they are {sorted(labels)}"
        )
    if len(labels) > MAX_LABELS:
        raise UserError(f"{path} has {len(labels)} labels, at most {MAX_LABELS} are supported")
    return {0: "background"} | dict(sorted(labels.items()))


def _listed(root: Path, path: Path, pairs: list[Any], mapped: bool) -> list[Candidate]:
    """List the pairs of MSD."""
    candidates = []
    for entry in pairs:
        entry = {"image": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
            raise UserError(f"{path}: {entry!r} has no image")
        image = root / entry["image"]
        label = root / entry["label"] if mapped and isinstance(entry.get("label"), str) else None
        candidates.append(
            Candidate(
                scan=stem(image),
                participant="",
                images=(image,),
                label=label,
                last_axis="channel",
                problem="dataset.json lists no label map for this image" if mapped and label is None else "",
            )
        )
    return candidates


def _globbed(root: Path, ending: str, channels: int, part: str, mapped: bool) -> list[Candidate]:
    """List the cases of nnU-Net's imagesTr and labelsTr, or of another `part`."""
    folders = (f"images{part}", f"labels{part}")
    images, labelled = (
        {
            p.name.removesuffix(ending)
            for p in sorted((root / folder).glob("*"))
            if p.name.endswith(ending) and p.name[0] != "."
        }
        for folder in folders
    )
    if not images:
        raise UserError(f"{root / folders[0]} has no *{ending} files", "check file_ending in dataset.json")
    cases = {re.sub(r"_\d{4}$", "", name) for name in images}
    candidates = []
    for case in sorted(cases | labelled if mapped else cases):
        files = [f"{case}_{channel:04d}" for channel in range(channels)]
        missing = [name for name in files if name not in images]
        problem = ""
        if case not in cases:
            problem = "a label map without an image"
        elif missing:
            problem = f"channel file {missing[0]}{ending} is missing"
        elif mapped and case not in labelled:
            problem = f"{folders[1]}/{case}{ending} is missing"
        candidates.append(
            Candidate(
                scan=case,
                participant="",
                images=tuple(root / folders[0] / f"{name}{ending}" for name in files),
                label=root / folders[1] / f"{case}{ending}" if mapped else None,
                problem=problem,
            )
        )
    return candidates
