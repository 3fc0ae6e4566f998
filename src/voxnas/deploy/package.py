"""The model folder: a trained network with all inputs of ``voxnas predict``."""

import shutil
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from voxnas import __version__
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.spec import EvaluateSpec, IndexSpec, SpatialSpec, TrainSpec
from voxnas.core.splits import Splits
from voxnas.core.trial import Network, Result
from voxnas.data.digest import data_digest
from voxnas.io.records import read_json, read_plan, read_record, write_json
from voxnas.io.tables import read_table

SCHEMA_VERSION = 1
PACKAGES = ("torch", "nibabel", "numpy")


def write_model(paths: StudyPaths, network: Network, trained: Mapping[int, Result], output: Path) -> dict[str, Any]:
    """Write ``architecture.json``, ``plan.json``, ``model.json`` and the weights of all seeds.

    The default member is the seed with the best validation score.

    Parameters
    ----------
    paths : StudyPaths
        A study whose benchmark is done.
    network : Network
        The network to package.
    trained : mapping of int to Result
        Results of the network's trainings by seed.
    output : Path
        Folder to write; existing content is removed.

    Returns
    -------
    dict
        The content of ``model.json``.
    """
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    for seed in trained:
        shutil.copyfile(paths.seed(network.key, seed) / "weights.safetensors", output / weights_name(seed))
    write_json(output / "architecture.json", network)
    plan = read_plan(paths.plan)
    write_json(output / "plan.json", plan)
    training = read_record(paths.spec("train"), TrainSpec).training
    evaluate = read_record(paths.spec("evaluate"), EvaluateSpec)
    scored = {seed: result.score for seed, result in trained.items() if result.score is not None}
    model = {
        "schema_version": SCHEMA_VERSION,
        "name": network.name,
        "key": network.key,
        **({"derivation": network.derivation.plain()} if network.derivation else {}),
        "task": plan.task,
        "channels": read_json(paths.dataset)["channels"],
        "labels": plan.labels,
        "classes": plan.classes,
        "members": sorted(trained),
        "default": max(scored, key=lambda seed: (scored[seed], -seed)) if scored else min(trained),
        "mirror": evaluate.mirror,
        "nsd_tolerance_mm": evaluate.nsd_tolerance_mm,
        "threads": training.threads,
        "precision": training.precision,
        **_reading(paths, plan),
        "images": _seen(paths),
        "study": paths.root.name,
        "data_digest": data_digest(paths),
        "versions": {"voxnas": __version__, **{name: version(name) for name in PACKAGES}},
    }
    write_json(output / "model.json", model)
    return model


def _reading(paths: StudyPaths, plan: Plan) -> dict[str, Any]:
    """Return the settings by which a study reads scans and, for time series, preprocesses them spatially."""
    data = read_record(paths.spec("index"), IndexSpec).data.model_dump(mode="json")
    data["target"] = read_json(paths.dataset)["target"]  # the phantom has a default target
    if not plan.timed:
        return {"data": data}
    spatial = paths.spec("spatial")
    return {"data": data, "spatial": read_record(spatial, SpatialSpec).steps if spatial.exists() else []}


def _seen(paths: StudyPaths) -> list[str]:
    """Return the digests of the images outside the test split, by which later evaluations recognise them."""
    scans = read_table(paths.scans, {"scan": str})
    known = scans[scans["scan"].isin(read_record(paths.splits, Splits).development)]
    return sorted(known["content"].dropna()) if "content" in known else []


def weights_name(seed: int) -> str:
    """Return the file name of one seed's weights in the model folder."""
    return f"weights-{seed}.safetensors"
