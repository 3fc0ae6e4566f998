"""The model folder of a study's winner: all that ``voxnas predict`` needs."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined

from voxnas import __version__
from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import read_comparisons, read_leaderboard
from voxnas.benchmark.metrics import ranking_measure
from voxnas.core.paths import StudyPaths
from voxnas.data.digest import data_digest
from voxnas.io.records import read_json, write_json, write_text
from voxnas.report import tables
from voxnas.report.drawing import winning_network
from voxnas.report.sentence import headline

SCHEMA_VERSION = 1
PACKAGES = ("torch", "nibabel", "numpy")


def write_model(paths: StudyPaths, output: str | Path) -> None:
    """Write ``architecture.json``, ``plan.json``, ``model.json``, the weights of all seeds and a model card.

    The default member is the seed with the best validation score.

    Parameters
    ----------
    paths : StudyPaths
        A study whose benchmark is done.
    output : path
        Folder to write; what an earlier run left in it is removed.
    """
    output = Path(output)
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    network = winning_network(paths)
    trained = results.seed_results(paths, network.key)
    for seed in trained:
        shutil.copyfile(paths.seed(network.key, seed) / "weights.safetensors", output / weights_name(seed))
    write_json(output / "architecture.json", network)
    plan = read_json(paths.plan)
    write_json(output / "plan.json", plan)
    training = read_json(paths.spec("train"))["training"]
    scored = {seed: result.score for seed, result in trained.items() if result.score is not None}
    model = {
        "schema_version": SCHEMA_VERSION,
        "name": network.name,
        "key": network.key,
        "task": plan["task"],
        "channels": read_json(paths.dataset)["channels"],
        "labels": plan["labels"],
        "classes": plan["classes"],
        "members": sorted(trained),
        "default": max(scored, key=lambda seed: (scored[seed], -seed)) if scored else min(trained),
        "mirror": read_json(paths.spec("evaluate"))["mirror"],
        "threads": training["threads"],
        "precision": training["precision"],
        **_reading(paths, plan),
        "study": read_json(paths.spec("report"))["study"],
        "data_digest": data_digest(paths),
        "versions": {"voxnas": __version__, **{name: version(name) for name in PACKAGES}},
    }
    write_json(output / "model.json", model)
    write_text(output / "README.md", _card(paths, model, plan))


def _reading(paths: StudyPaths, plan: dict[str, Any]) -> dict[str, Any]:
    """How a study of time series reads its data set and brings raw runs to one space, which new runs need too."""
    if not plan.get("timed"):
        return {}
    spatial = paths.spec("spatial")
    steps = read_json(spatial)["steps"] if spatial.exists() else []
    return {"data": read_json(paths.spec("index"))["data"], "spatial": steps}


def weights_name(seed: int) -> str:
    """File of one seed's weights in the model folder."""
    return f"weights-{seed}.safetensors"


def _card(paths: StudyPaths, model: dict[str, Any], plan: dict[str, Any]) -> str:
    """The model card (Mitchell et al. 2019, Model Cards for Model Reporting)."""
    board, comparisons = read_leaderboard(paths), read_comparisons(paths)
    spec = read_json(paths.spec("benchmark"))
    measure, confidence = ranking_measure(spec), spec["confidence"]
    dataset, splits = read_json(paths.dataset), read_json(paths.splits)
    names = (model["name"], f"{model['name']} (ensemble)")
    source = files(__package__).joinpath("model_card.md.j2").read_text(encoding="utf-8")
    environment = Environment(
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters |= {"quantity": tables.quantity, "number": tables.number}
    return environment.from_string(source).render(
        model=model,
        plan=plan,
        labels=sorted(plan["labels"].items(), key=lambda pair: int(pair[0])),
        dataset=dataset,
        measure=measure,
        confidence=confidence,
        development=sum(map(len, splits["folds"])),
        test=len(splits["test"]),
        headline=headline(board, comparisons, measure, confidence, plan.get("unit", "scan")),
        separated="" if splits.get("within") else f", separated by {splits['unit']}",
        rows=[row for row in board.to_dict("records") if row["name"] in names],
    )
