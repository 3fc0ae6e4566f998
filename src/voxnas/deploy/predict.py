"""Prediction for new scans by a model folder, without a study."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxnas.core.architecture import MIRROR_AXES
from voxnas.core.errors import ScanError, UserError
from voxnas.core.plan import Plan, VolumePlan
from voxnas.core.trial import Network
from voxnas.deploy.package import weights_name
from voxnas.deploy.predictor import Predictor, label_map, named_prediction
from voxnas.io.records import read_json, read_plan, read_record

CHANNEL_FILE = re.compile(r"(.+)_\d{4}")  # names of the channels of one scan in nnU-Net


class ModelFolder:
    """Output of ``voxnas package``, with the trained networks loaded.

    Parameters
    ----------
    folder : path
    ensemble : bool
        Whether to average all members; otherwise the default member predicts.
    mirror : bool or None
        Whether to average over copies mirrored as in training; None: as in the study's benchmark.

    Attributes
    ----------
    record : dict
        Content of model.json.
    plan : Plan
        The plan of the study.

    Raises
    ------
    UserError
        If the folder is not a model folder, or a file in it is damaged.
    """

    def __init__(self, folder: str | Path, ensemble: bool = False, mirror: bool | None = None) -> None:
        folder = Path(folder)
        self.plan: Plan = read_model_plan(folder)
        self.record = read_json(folder / "model.json")
        network = read_record(folder / "architecture.json", Network)
        self.view = network.architecture.view
        members = self.record["members"] if ensemble else [self.record["default"]]
        weights = [folder / weights_name(seed) for seed in members]
        axes = MIRROR_AXES[network.recipe.mirror] if mirror or (mirror is None and self.record["mirror"]) else ()
        seen = self.plan.for_view(self.view)
        self.predictor = Predictor(
            network.architecture, weights, seen, self.record["threads"], self.record["precision"], axes
        )


def read_model_plan(folder: str | Path) -> Plan:
    """Read the plan of a model's study, whose ``timed`` tells whether the model predicts runs.

    Parameters
    ----------
    folder : path

    Raises
    ------
    UserError
        If the folder is not a model folder.
    """
    if not (Path(folder) / "model.json").is_file():
        raise UserError(f"{folder} is not a model folder: it has no model.json", "give results/<study>/model")
    return read_plan(Path(folder) / "plan.json")


class Model(ModelFolder):
    """A model folder whose network reads scans of one volume."""

    plan: VolumePlan

    def predict(self, files: Sequence[Path]) -> tuple[np.ndarray, dict[str, Any]]:
        """Predict one scan.

        Parameters
        ----------
        files : sequence of path
            One file per channel, or one file with the channels last.

        Returns
        -------
        prediction : ndarray
            Class probabilities on the preprocessed grid (K, D, H, W) or of the scan (K,), or the value (1,).
        geometry : dict
            Transformation to the scan's own grid.

        Raises
        ------
        ScanError
            If a file cannot be read, or the number of channels is not the model's.
        """
        import torch

        from voxnas.data.preprocess import preprocess_scan

        prepared = preprocess_scan(files, None, self.plan)
        members = self.predictor([torch.from_numpy(prepared.image)])
        return np.mean(members, axis=0), prepared.geometry

    def segment(self, files: Sequence[Path], output: Path) -> None:
        """Predict one scan and write its label map on the scan's own grid."""
        from voxnas.io.nifti import open_image, save_like

        probabilities, geometry = self.predict(files)
        labels = label_map(probabilities, geometry)
        save_like(output, labels, open_image(files[0]), labels.dtype)

    def describe(self, files: Sequence[Path]) -> dict[str, Any]:
        """Predict the class or value of one scan; return the columns of a table."""
        return named_prediction(self.predict(files)[0], self.plan)


def find_scans(path: str | Path, channels: int) -> tuple[dict[str, list[Path]], list[Path]]:
    """Find the scans in a file or folder.

    Parameters
    ----------
    path : path
        An image, or a folder with images; subfolders are not searched.
    channels : int
        Channels of the model. If more than one, files ``<scan>_0000``, ``<scan>_0001``, ... form one scan.

    Returns
    -------
    scans : dict
        Sorted files of each scan, by its name.
    others : list of path
        Files of the folder that are not images.

    Raises
    ------
    UserError
        If no image is found, or two files have the same scan name.
    """
    from voxnas.io.nifti import SUFFIXES

    path = Path(path)
    if not path.exists():
        raise UserError(f"{path} does not exist", "give an image, or a folder with images")
    if path.is_file():
        return {stem_of(path, SUFFIXES): [path]}, []
    found = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    images = [p for p in found if p.name.lower().endswith(SUFFIXES)]
    if not images:
        raise UserError(f"{path} holds no image", f"looked for {', '.join(SUFFIXES)} in the folder itself")
    scans: dict[str, list[Path]] = {}
    for image in images:
        name = stem_of(image, SUFFIXES)
        match = CHANNEL_FILE.fullmatch(name) if channels > 1 else None
        scans.setdefault(match[1] if match else name, []).append(image)
    for name, files in scans.items():
        if len(files) > 1 and any(CHANNEL_FILE.fullmatch(stem_of(f, SUFFIXES)) is None for f in files):
            raise UserError(f"{files[0]} and {files[1]} are both called {name!r}", "rename or move one of them")
    return scans, [p for p in found if p not in images]


def stem_of(path: Path, suffixes: Sequence[str]) -> str:
    """Return the file name without its image suffix; ScanError if the file is not an image."""
    for suffix in suffixes:
        if path.name.lower().endswith(suffix):
            return path.name[: -len(suffix)]
    raise ScanError(f"{path} is not an image", f"known suffixes: {', '.join(suffixes)}")
