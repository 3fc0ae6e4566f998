"""From settings to specs: what each stage depends on, and nothing else.

A stage's spec is written to ``results/<study>/spec/<stage>.json`` and its jobs read only that file,
so that Snakemake reruns a stage exactly when something that the stage uses has changed.
"""

from __future__ import annotations

from typing import Any

from voxnas.core.settings import StudySettings, TrainingSettings

BLOCK_PREFIX = "block-"  # of the baselines that differ in their blocks alone (voxnas.arch.block_comparison)

# Raise a stage's number when its code changes what it computes (tests/golden says when).
STEP_VERSIONS = {
    "index": 2,
    "spatial": 2,
    "preprocess": 2,
    "splits": 2,
    "calibrate": 5,
    "search": 2,
    "train": 4,
    "select": 2,
    "evaluate": 2,
    "profile": 2,
    "benchmark": 2,
    "figures": 2,
    "report": 2,
}


# Of the settings of trainings, those that no single training depends on.
NOT_OF_ONE: Any = {"budget": True, "seeds": True, "tensorboard": True, "large_batch": {"threshold"}}


def _training(settings: TrainingSettings) -> dict[str, Any]:
    """What a single training depends on; what is off is no part of it."""
    training = settings.model_dump(mode="json", exclude=NOT_OF_ONE)
    if settings.compression == "none":
        del training["compression"]
    if settings.batch_size < settings.large_batch.threshold:
        del training["large_batch"]
    return training


def stage_spec(settings: StudySettings, stage: str, **extra: Any) -> dict[str, Any]:
    """The part of the settings that one stage depends on, as plain data.

    Parameters
    ----------
    settings : StudySettings
        All settings.
    stage : str
        A key of :data:`STEP_VERSIONS`.
    **extra
        Further entries, such as the text of the search space for ``search``.
    """
    s = settings.model_dump(mode="json")
    training = _training(settings.training)
    # In order of arrival the window says what waits for what; no proposal depends on it.
    unused = "order" if s["search"]["order"] == "strict" else "window"
    parts: dict[str, dict[str, Any]] = {
        "index": {"task": s["task"], "data_root": s["data_root"], "data": s["data"], "seed": s["seed"]},
        "spatial": {"steps": s["bold"]["spatial"]},
        "preprocess": {"task": s["task"], "preprocess": s["preprocess"], "patch": s["training"]["patch"]},
        "splits": {"task": s["task"], "splits": s["splits"], "seed": s["seed"]},
        "calibrate": {
            "task": s["task"],
            "batch_size": training["batch_size"],
            "precision": training["precision"],
            "threads": training["threads"],
            "seed": s["seed"],
            "foreground": training["foreground"],
            "swaps": [name for name in s["baselines"]["names"] if name.startswith(BLOCK_PREFIX)],
        },
        "search": {
            "task": s["task"],
            "seed": s["seed"],
            "search": {k: v for k, v in s["search"].items() if k not in ("methods", "steps", "finalists", unused)},
        },
        "train": {"task": s["task"], "seed": s["seed"], "training": training},
        "select": {
            "task": s["task"],
            "seed": s["seed"],
            "finalists": s["search"]["finalists"],
            "budget": s["training"]["budget"],
            "limits": s["search"]["limits"],
        },
        "evaluate": {
            "task": s["task"],
            "mirror": s["benchmark"]["mirror"],
            "nsd_tolerance_mm": s["benchmark"]["nsd_tolerance_mm"],
        },
        "profile": {"task": s["task"], "latency_repeats": s["benchmark"]["latency_repeats"]},
        "benchmark": {
            "task": s["task"],
            "seed": s["seed"],
            "measure": s["benchmark"]["measure"],
            "bootstrap": s["benchmark"]["bootstrap"],
            "confidence": s["benchmark"]["confidence"],
            "seeds": s["training"]["seeds"],
        },
        "figures": {"task": s["task"], "scans": s["report"]["scans"]},
        "report": {"task": s["task"], "study": s["study"], "title": s["report"]["title"]},
    }
    if settings.timed:
        parts["index"] |= {"unit": s["clips"]["unit"]}
        parts["preprocess"] |= {"bold": {k: v for k, v in s["bold"].items() if k != "spatial"}, "clips": s["clips"]}
    return {"stage": stage, "version": STEP_VERSIONS[stage], **parts[stage], **extra}
