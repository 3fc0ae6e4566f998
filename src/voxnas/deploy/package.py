"""The model folder: a trained network with all inputs of ``voxnas predict``."""

import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from voxnas import __version__
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.record import Record
from voxnas.core.settings import DataSettings, Precision, Processors, SpatialStep, Task
from voxnas.core.spec import EvaluateSpec, IndexSpec, SpatialSpec, TrainSpec
from voxnas.core.splits import Splits
from voxnas.core.training import Derivation
from voxnas.core.trial import Network
from voxnas.data.digest import data_digest
from voxnas.io.records import file_digest, read_json, read_plan, read_record, write_json
from voxnas.io.tables import read_table

PACKAGES = ("torch", "nibabel", "numpy")
Seed = Annotated[int, Field(ge=0)]


class ModelRecord(Record):
    """Content of ``model.json``."""

    schema_version: Literal[2] = 2
    name: str
    key: str
    derivation: Derivation | None = Field(None, exclude_if=lambda derivation: derivation is None)
    task: Task
    channels: tuple[str, ...]
    labels: dict[str, str]
    classes: tuple[str, ...]
    members: tuple[Seed, ...] = Field(min_length=1, description="Seeds of the trained networks.")
    default: Seed = Field(description="Seed that predicts unless an ensemble is asked for.")
    mirror: bool
    shifts: bool = Field(False, exclude_if=lambda shifts: not shifts)
    threads: Processors
    precision: Precision
    nsd_tolerance_mm: Annotated[float, Field(gt=0)]
    data: DataSettings = Field(description="Reading of scans.")
    spatial: tuple[SpatialStep, ...] = Field((), description="Spatial steps of raw runs.")
    images: tuple[str, ...] = Field((), description="Digests of the images outside the test split.")
    study: str
    data_digest: str
    versions: dict[str, str]
    digests: dict[str, str] = Field(description="SHA-256 of each other file that a prediction reads, by its name.")

    @model_validator(mode="after")
    def _default_is_a_member(self) -> Self:
        if self.default not in self.members:
            raise ValueError(f"default = {self.default} is none of the members {list(self.members)}")
        return self


def write_model(paths: StudyPaths, network: Network, seeds: Sequence[int], default: int, output: Path) -> ModelRecord:
    """Write ``architecture.json``, ``plan.json``, ``model.json`` and the weights of all seeds.

    Parameters
    ----------
    paths : StudyPaths
        A study whose benchmark is done.
    network : Network
        The network to package.
    seeds : sequence of int
        Seeds of the network's trainings, in ascending order.
    default : int
        Seed of the default member.
    output : Path
        An empty folder.

    Returns
    -------
    ModelRecord
        The content of ``model.json``.
    """
    for seed in seeds:
        shutil.copyfile(paths.seed(network.key, seed) / "weights.safetensors", output / weights_name(seed))
    write_json(output / "architecture.json", network)
    plan = read_plan(paths.plan)
    write_json(output / "plan.json", plan)
    training = read_record(paths.spec("train"), TrainSpec).training
    evaluate = read_record(paths.spec("evaluate"), EvaluateSpec)
    model = ModelRecord(
        name=network.name,
        key=network.key,
        derivation=network.derivation,
        task=plan.task,
        channels=read_json(paths.dataset)["channels"],
        labels=plan.labels,
        classes=plan.classes,
        members=tuple(seeds),
        default=default,
        mirror=evaluate.mirror,
        shifts=evaluate.shifts,
        nsd_tolerance_mm=evaluate.nsd_tolerance_mm,
        threads=training.threads,
        precision=training.precision,
        **_reading(paths, plan),
        images=_seen(paths),
        study=paths.root.name,
        data_digest=data_digest(paths),
        versions={"voxnas": __version__, **{name: version(name) for name in PACKAGES}},
        digests={file.name: file_digest(file) for file in sorted(output.iterdir())},
    )
    write_json(output / "model.json", model)
    return model


def _reading(paths: StudyPaths, plan: Plan) -> dict[str, Any]:
    """Return the settings by which a study reads scans and, for time series, preprocesses them spatially."""
    # The phantom has a default target.
    target = {"target": read_json(paths.dataset)["target"]}
    data = read_record(paths.spec("index"), IndexSpec).data.model_copy(update=target)
    if not plan.timed:
        return {"data": data}
    spatial = paths.spec("spatial")
    steps = read_record(spatial, SpatialSpec).steps if spatial.exists() else ()
    return {"data": data, "spatial": steps}


def _seen(paths: StudyPaths) -> tuple[str, ...]:
    """Return the digests of the images outside the test split, by which later evaluations recognise them."""
    scans = read_table(paths.scans, {"scan": str})
    splits = read_record(paths.splits, Splits)
    known = scans[scans["scan"].isin(list(map(splits.scan_of, splits.development)))]
    return tuple(sorted(known["content"].dropna())) if "content" in known else ()


def weights_name(seed: int) -> str:
    """Return the file name of one seed's weights in the model folder."""
    return f"weights-{seed}.safetensors"
