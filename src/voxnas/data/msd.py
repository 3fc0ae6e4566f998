"""Reader of the Medical Segmentation Decathlon layout and of nnU-Net's raw data sets.

Both have a ``dataset.json``. MSD (Simpson et al. 2019, arXiv:1902.09063) lists its ``training``
pairs, defines ``modality`` {"0": "MRI"} and ``labels`` {"0": "background"}, and stores channels in the
last axis of one file. nnU-Net v2 (Isensee et al. 2021, doi:10.1038/s41592-020-01008-z) defines
``channel_names`` and ``labels`` {"background": 0}, and has one file for each channel,
``imagesTr/<case>_0000<file_ending>``, beside ``labelsTr/<case><file_ending>``.
"""

import re
from pathlib import Path
from typing import Any

from voxnas.core.errors import UserError
from voxnas.data.layout import Candidate, Layout, read_description, stem


def is_msd(root: Path) -> bool:
    """Return whether a folder has a dataset.json."""
    return (root / "dataset.json").is_file()


def read_msd(root: Path) -> Layout:
    """Read the scans of a dataset.json.

    Raises
    ------
    UserError
        If dataset.json is missing, damaged or incomplete.
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
    labels = _labels(path, description.get("labels"))
    candidates = (
        _listed(root, path, description["training"])
        if isinstance(description.get("training"), list)
        else _globbed(root, description.get("file_ending", ".nii.gz"), len(channels))
    )
    if not candidates:
        raise UserError(f"{path} lists no training scans")
    return Layout("msd", str(description.get("name") or root.name), candidates, channels, labels)


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
            labels[int(number)] = str(name)
        except (TypeError, ValueError):
            raise UserError(f"{path}: label {key!r}: {value!r} is not a pair of a number and a name") from None
    if min(labels) < 0 or len(labels) != len(raw):
        raise UserError(f"{path}: label values must be distinct and non-negative, they are {sorted(labels)}")
    return {0: "background"} | dict(sorted(labels.items()))


def _listed(root: Path, path: Path, training: list[Any]) -> list[Candidate]:
    """List the training pairs of MSD."""
    candidates = []
    for entry in training:
        entry = {"image": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or not isinstance(entry.get("image"), str):
            raise UserError(f"{path}: {entry!r} in training has no image")
        image = root / entry["image"]
        label = root / entry["label"] if isinstance(entry.get("label"), str) else None
        candidates.append(
            Candidate(
                scan=stem(image),
                participant=stem(image),
                images=(image,),
                label=label,
                last_axis="channel",
                problem="" if label else "dataset.json lists no label map for this image",
            )
        )
    return candidates


def _globbed(root: Path, ending: str, channels: int) -> list[Candidate]:
    """List the cases of nnU-Net's imagesTr and labelsTr."""
    images, labelled = (
        {p.name.removesuffix(ending) for p in (root / folder).glob(f"*{ending}") if p.name[0] != "."}
        for folder in ("imagesTr", "labelsTr")
    )
    if not images:
        raise UserError(f"{root / 'imagesTr'} has no *{ending} files", "check file_ending in dataset.json")
    cases = {re.sub(r"_\d{4}$", "", name) for name in images}
    candidates = []
    for case in sorted(cases | labelled):
        files = [f"{case}_{channel:04d}" for channel in range(channels)]
        missing = [name for name in files if name not in images]
        problem = ""
        if case not in cases:
            problem = "a label map without an image"
        elif missing:
            problem = f"channel file {missing[0]}{ending} is missing"
        elif case not in labelled:
            problem = f"labelsTr/{case}{ending} is missing"
        candidates.append(
            Candidate(
                scan=case,
                participant=case,
                images=tuple(root / "imagesTr" / f"{name}{ending}" for name in files),
                label=root / "labelsTr" / f"{case}{ending}",
                problem=problem,
            )
        )
    return candidates
