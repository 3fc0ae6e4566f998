"""Prediction for new scans by a model folder, without a study."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import Architecture, further_copies
from voxnas.core.errors import ScanError, UserError
from voxnas.core.plan import Plan, VolumePlan
from voxnas.core.trial import Network
from voxnas.deploy.package import ModelRecord, weights_name
from voxnas.deploy.predictor import Predictor, label_map, named_prediction
from voxnas.deploy.runtimes import check_exports, choose_runtime
from voxnas.io.records import file_digest, read_plan, read_record

PACKAGE_AGAIN = "write the model folder again: voxnas package"
LABEL_MAP = "_dseg"  # ending of the names of label maps, as in BIDS
UNENCODABLE = re.compile("[\ud800-\udfff]")  # bytes of a file name that are not UTF-8, as Python reads them
CHANNEL_FILE = re.compile(r"(.+)_\d{4}")  # names of the channels of one scan in nnU-Net


class ModelFolder:
    """Output of ``voxnas package``, with the trained networks loaded.

    Parameters
    ----------
    folder : path
    ensemble : bool
        Whether to average all members; otherwise the default member predicts.
    mirror : bool or None
        Whether to average over copies mirrored as in training; None: as in the study's benchmark; False: neither over
        mirrored nor over shifted copies.
    runtime : str
        See :func:`voxnas.deploy.runtimes.choose_runtime`.

    Attributes
    ----------
    record : ModelRecord
        Content of model.json.
    plan : Plan
        The plan of the study.
    runtime : str
        The chosen run-time: ``torch``, ``onnx`` or ``openvino``.

    Raises
    ------
    UserError
        If the folder is not a model folder, a file in it is damaged or not the file that was packaged, or the run-time
        is not available.
    """

    def __init__(
        self, folder: str | Path, ensemble: bool = False, mirror: bool | None = None, runtime: str = "torch"
    ) -> None:
        folder = Path(folder)
        self.plan: Plan = read_model_plan(folder)
        self.record = record = read_record(folder / "model.json", ModelRecord, PACKAGE_AGAIN)
        network = read_record(folder / "architecture.json", Network, PACKAGE_AGAIN)
        self.view = network.architecture.view
        seen = self.plan.for_view(self.view)
        weights = [folder / weights_name(seed) for seed in (record.members if ensemble else [record.default])]
        for file in (folder / "architecture.json", folder / "plan.json", *weights):
            if not file.is_file() or file_digest(file) != record.digests.get(file.name):
                raise UserError(f"{file} is not the file that was packaged (SHA-256 in model.json)", PACKAGE_AGAIN)
        _check_size(folder, network.architecture, seen, min(file.stat().st_size for file in weights))
        mirrored = record.mirror if mirror is None else mirror
        copies = further_copies(network.recipe.mirror if mirrored else "none", record.shifts and mirror is not False)
        self.runtime = choose_runtime(folder, runtime)
        exports = check_exports(folder, weights, self.runtime) if self.runtime != "torch" else ()
        self.predictor = Predictor(
            network.architecture, weights, seen, record.threads, record.precision, copies, exports
        )


def _check_size(folder: Path, architecture: Architecture, plan: Plan, weights: int) -> None:
    """Check, before memory is allocated, that a network fits its plan and is not larger than its `weights` in bytes."""
    try:
        parameters = analyze(architecture, input_size(architecture, plan)).parameters
    except (ValueError, UserError, LookupError, ArithmeticError) as error:
        raise UserError(f"{folder / 'architecture.json'} is no network: {error}", PACKAGE_AGAIN) from None
    values = {
        "channels": (architecture.in_channels, plan.channels),
        "outputs": (architecture.out_channels, plan.outputs),
    }
    if plan.task != "regression":
        values["classes"] = (plan.outputs, len(plan.labels or plan.classes))
    for name, (one, other) in values.items():
        if one != other:
            raise UserError(f"{folder}: the {name} of architecture.json and plan.json differ", PACKAGE_AGAIN)
    if parameters > weights:
        raise UserError(
            f"{folder}: the weights hold less than the {parameters:,} parameters of the network", PACKAGE_AGAIN
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
    return read_plan(Path(folder) / "plan.json", PACKAGE_AGAIN)


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
            If a file cannot be read, the number of channels is not the model's, or all voxels of a channel are equal
            or not finite.
        """
        import torch

        from voxnas.data.preprocess import preprocess_scan

        for file in files:
            if not file.is_file():
                raise ScanError(f"{file} is a dangling link or not a file")
            if UNENCODABLE.search(str(file)):
                raise ScanError(f"{str(file)!a}: the name is not UTF-8", "rename it")
        prepared = preprocess_scan(files, None, self.plan)
        for number, channel in enumerate(prepared.image):
            if channel.min() == channel.max():
                raise ScanError(f"{files[min(number, len(files) - 1)]}: all voxels are equal or not finite")
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
        Files of the folder that are not images, and label maps (``*_dseg``), such as earlier predictions.

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
        name = stem_of(path, SUFFIXES)
        if name.endswith(LABEL_MAP):
            raise ScanError(f"{path} is a label map ({LABEL_MAP})", "give an image")
        return {name: [path]}, []
    named = sorted(p for p in path.iterdir() if not p.name.startswith("."))
    found = [p for p in named if p.is_file() or p.name.lower().endswith(SUFFIXES)]
    images = [p for p in found if p.name.lower().endswith(SUFFIXES) and not stem_of(p, SUFFIXES).endswith(LABEL_MAP)]
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
