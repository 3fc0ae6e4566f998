"""From settings to specs: what each stage depends on, and nothing else.

A stage's spec is written to ``results/<study>/spec/<stage>.json`` and its jobs read only that file,
so that Snakemake reruns a stage exactly when something that the stage uses has changed.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from voxnas.core.record import Positive, Record
from voxnas.core.settings import (
    Budget,
    CleaningSettings,
    ClipSettings,
    ClipUnit,
    DataSettings,
    LargeBatch,
    LimitSettings,
    Patch,
    PreprocessSettings,
    SpatialStep,
    SplitSettings,
    StudySettings,
    Task,
    TrainingParameters,
)
from voxnas.core.strategies import is_job, options_of

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


def _absent(value: Any) -> bool:
    return value is None


class Spec(Record):
    """Base of the specs.

    A field is the setting of its name: of the study, else of the first of `sections` that has one.
    :meth:`derived` gives the fields of which that does not hold.
    """

    sections: ClassVar[tuple[str, ...]] = ()

    stage: str
    version: int

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Fields that are not the setting of their name; `extra` are the further fields of :func:`stage_spec`."""
        return {}


class IndexSpec(Spec):
    """Reading of the data set."""

    task: Task
    seed: int
    data_root: str
    data: DataSettings
    unit: ClipUnit | None = Field(None, exclude_if=_absent, description="Of time series alone.")

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """The unit of clips."""
        return {"unit": settings.clips.unit if settings.timed else None}


class SpatialSpec(Spec):
    """Spatial preprocessing of raw runs."""

    steps: tuple[SpatialStep, ...]

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """The spatial steps."""
        return {"steps": settings.bold.spatial}


class PreprocessSpec(Spec):
    """Plan and preprocessing; `bold` and `clips` of time series alone."""

    sections = ("training",)

    task: Task
    preprocess: PreprocessSettings
    patch: Literal["auto"] | Patch
    bold: CleaningSettings | None = Field(None, exclude_if=_absent)
    clips: ClipSettings | None = Field(None, exclude_if=_absent)

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """No settings of time series for volumes."""
        return {} if settings.timed else {"bold": None, "clips": None}


class SplitsSpec(Spec):
    """Test split and folds."""

    task: Task
    seed: int
    splits: SplitSettings


class CalibrateSpec(Spec):
    """Measurement of training and prediction times."""

    sections = ("training",)

    task: Task
    seed: int
    batch_size: Positive
    precision: str
    threads: Positive
    foreground: float
    swaps: tuple[str, ...] = Field(description="Baselines that differ in their blocks alone.")

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """The block baselines that the study names."""
        return {"swaps": tuple(name for name in settings.baselines.names if name.startswith(BLOCK_PREFIX))}


class SearchSpec(Spec):
    """One search: a method, or the recipes of a baseline."""

    task: Task
    seed: int
    search: dict[str, Any]
    name: str
    method: str
    baseline: str | None
    space: dict[str, Any] = Field(description="Content of the search space's file.")

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """The settings on which the proposals of the method depend; of all options those of its own strategies."""
        search, method = settings.search, extra["method"]
        unused = {"methods", "steps", "finalists"}
        if is_job(method):
            unused |= {"order", "window", "start", "promotion"}
        else:
            # In order of arrival the window says what waits for what; no proposal depends on it.
            unused |= {"order" if search.order == "strict" else "window"}
        used = search.model_dump(mode="json", exclude=unused)
        names = filter(None, [method, used.get("promotion")])
        return {"search": used | {"options": {name: options_of(name, search.options) for name in names}}}


class EffectiveTraining(TrainingParameters):
    """Parameters in effect for a single training; settings that are off are no part of its identity."""

    compression: Literal["none", "fp16"] = Field("none", exclude_if=lambda kind: kind == "none")
    large_batch: LargeBatch | None = Field(None, exclude_if=_absent)


class TrainSpec(Spec):
    """Single trainings."""

    task: Task
    seed: int
    training: EffectiveTraining

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """The parameters, with large_batch from its threshold on."""
        training = settings.training
        large = training.large_batch if training.batch_size >= training.large_batch.threshold else None
        parameters = {name: getattr(training, name) for name in TrainingParameters.model_fields}
        return {"training": EffectiveTraining(**parameters, large_batch=large)}


class SelectSpec(Spec):
    """Choice of the finalists."""

    sections = ("training", "search")

    task: Task
    seed: int
    finalists: Positive
    budget: Budget
    limits: LimitSettings


class EvaluateSpec(Spec):
    """Predictions and scores of each scan."""

    sections = ("benchmark",)

    task: Task
    mirror: bool
    nsd_tolerance_mm: float


class ProfileSpec(Spec):
    """Cost of a network."""

    sections = ("benchmark",)

    task: Task
    latency_repeats: Positive


class BenchmarkSpec(Spec):
    """Leaderboard and comparisons."""

    sections = ("benchmark", "training")

    task: Task
    seed: int
    measure: str
    bootstrap: int
    confidence: float
    seeds: Positive


class FiguresSpec(Spec):
    """Figures of the report."""

    sections = ("report",)

    task: Task
    scans: int = Field(description="Test scans that are drawn with their prediction.")


class ReportSpec(Spec):
    """The page of the report."""

    sections = ("report",)

    task: Task
    study: str
    title: str


SPECS: dict[str, type[Spec]] = {
    "index": IndexSpec,
    "spatial": SpatialSpec,
    "preprocess": PreprocessSpec,
    "splits": SplitsSpec,
    "calibrate": CalibrateSpec,
    "search": SearchSpec,
    "train": TrainSpec,
    "select": SelectSpec,
    "evaluate": EvaluateSpec,
    "profile": ProfileSpec,
    "benchmark": BenchmarkSpec,
    "figures": FiguresSpec,
    "report": ReportSpec,
}


def stage_spec(settings: StudySettings, stage: str, **extra: Any) -> Spec:
    """Select the settings that one stage depends on.

    Parameters
    ----------
    settings : StudySettings
        All settings.
    stage : str
        A key of :data:`STEP_VERSIONS`.
    **extra
        Further fields, such as the space of a ``search``.
    """
    model = SPECS[stage]
    sources = [settings, *(getattr(settings, section) for section in model.sections)]
    named = {
        name: getattr(source, name)
        for source in reversed(sources)
        for name in model.model_fields
        if name in type(source).model_fields
    }
    return model(
        **{"stage": stage, "version": STEP_VERSIONS[stage], **named, **model.derived(settings, **extra), **extra}
    )
