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
from voxnas.core.trial import Network, Result
from voxnas.data.digest import data_digest
from voxnas.io.records import read_json, read_plan, read_record, write_json

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
        "mirror": read_record(paths.spec("evaluate"), EvaluateSpec).mirror,
        "threads": training.threads,
        "precision": training.precision,
        **_reading(paths, plan),
        "study": paths.root.name,
        "data_digest": data_digest(paths),
        "versions": {"voxnas": __version__, **{name: version(name) for name in PACKAGES}},
    }
    write_json(output / "model.json", model)
    return model


def _reading(paths: StudyPaths, plan: Plan) -> dict[str, Any]:
    """Return the settings by which a study of time series reads and spatially preprocesses runs, for new runs."""
    if not plan.timed:
        return {}
    spatial = paths.spec("spatial")
    steps = read_record(spatial, SpatialSpec).steps if spatial.exists() else []
    return {"data": read_record(paths.spec("index"), IndexSpec).data.model_dump(mode="json"), "spatial": steps}


def weights_name(seed: int) -> str:
    """Return the file name of one seed's weights in the model folder."""
    return f"weights-{seed}.safetensors"
