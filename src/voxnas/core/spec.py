"""Specs: the settings on which each stage depends.

The spec of a stage is written to ``results/<study>/spec/<stage>.json``. The jobs of the stage read only this file, so
that Snakemake reruns the stage exactly if one of its settings has changed.
"""

from typing import Any, ClassVar, Literal

from pydantic import Field

from voxnas.core.record import Positive, Record, is_default
from voxnas.core.settings import (
    Budget,
    CleaningSettings,
    ClipSettings,
    ClipUnit,
    DataSettings,
    LargeBatch,
    LimitSettings,
    Objective,
    Patch,
    PreprocessSettings,
    PruneSettings,
    SoftTarget,
    SpatialStep,
    SplitSettings,
    StudySettings,
    Task,
    TrainingParameters,
)
from voxnas.core.strategies import STRATEGIES, StrategyOptions, is_job, options_of
from voxnas.core.trial import PriorTrial

BLOCK_PREFIX = "block-"  # of baselines that differ only in their blocks (voxnas.arch.baselines.block_comparison)

# Raise the number of a stage when a change of its code changes its results (tests/golden detects changes of code).
STEP_VERSIONS = {
    "index": 4,
    "spatial": 3,
    "preprocess": 4,
    "splits": 2,
    "calibrate": 7,
    "search": 4,
    "train": 7,
    "select": 3,
    "evaluate": 4,
    "derive": 2,
    "prune": 1,
    "profile": 3,
    "benchmark": 4,
    "figures": 5,
    "report": 5,
}


class Spec(Record):
    """Base of the specs.

    A field takes the value of the setting with its name, from the study or else from the first of `sections` with such
    a setting. :meth:`derived` returns the fields with other values.
    """

    sections: ClassVar[tuple[str, ...]] = ()

    stage: str
    version: int

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Return fields that are not copied from a setting; `extra`: further arguments of :func:`stage_spec`."""
        return {}


class IndexSpec(Spec):
    """Reading of the data set."""

    task: Task
    seed: int
    data_root: str
    data: DataSettings
    unit: ClipUnit | None = Field(None, exclude_if=is_default(None), description="Time series only.")
    test_folder: bool = Field(
        False,
        exclude_if=lambda read: not read,
        description="Whether a folder of the data set is the locked test split.",
    )

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Return the unit of clips, for time series only, and whether the test split is a folder."""
        return {
            "unit": settings.clips.unit if settings.timed else None,
            "test_folder": settings.splits.test == "folder",
        }


class SpatialSpec(Spec):
    """Spatial preprocessing of raw runs."""

    steps: tuple[SpatialStep, ...]

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Return the spatial steps."""
        return {"steps": settings.bold.spatial}


class PreprocessSpec(Spec):
    """Plan and preprocessing; `bold` and `clips` for time series only."""

    sections = ("training",)

    task: Task
    preprocess: PreprocessSettings
    patch: Literal["auto"] | Patch
    bold: CleaningSettings | None = Field(None, exclude_if=is_default(None))
    clips: ClipSettings | None = Field(None, exclude_if=is_default(None))

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Remove the settings of time series for volumes."""
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
    validations: Positive
    foreground: float
    swaps: tuple[str, ...] = Field(description="Baselines that differ only in their blocks.")

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Return the block baselines of the study."""
        return {"swaps": tuple(name for name in settings.baselines.names if name.startswith(BLOCK_PREFIX))}


class EffectiveSearch(Record):
    """Settings on which the proposals of one search depend; a setting without effect is None."""

    space: str
    order: Literal["strict", "arrival"] | None = Field(None, exclude_if=is_default(None))
    window: Positive | None = Field(None, exclude_if=is_default(None))
    start: bool | None = Field(None, exclude_if=is_default(None))
    budget: Budget
    promotion: str | None = Field(None, exclude_if=is_default(None))
    options: dict[str, dict[str, Any]] = Field(description="Options of the strategies in use, by their names.")
    limits: LimitSettings
    objectives: tuple[Objective, ...] = Field(("score",), exclude_if=is_default(("score",)))
    targets: dict[str, SoftTarget] = Field({}, exclude_if=is_default({}))

    def strategy(self, name: str) -> StrategyOptions:
        """Return a strategy with its options."""
        return STRATEGIES[name](**self.options.get(name, {}))


class SearchSpec(Spec):
    """One search: a method, or the recipes of a baseline."""

    task: Task
    seed: int
    search: EffectiveSearch
    name: str
    method: str
    baseline: str | None
    space: dict[str, Any] = Field(description="Content of the file of the search space.")
    prior: tuple[tuple[PriorTrial, ...], ...] = Field(
        (), exclude_if=is_default(()), description="Trials of earlier studies, by table."
    )

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Return the settings on which the proposals depend, with the options of the strategies in use."""
        search, method = settings.search, extra["method"]
        if is_job(method):
            unused = {"order", "window", "start", "promotion", "targets"}
        else:
            # With `order: arrival`, the window only determines which steps wait; no proposal depends on it.
            unused = {"order" if search.order == "strict" else "window"}
        if extra["baseline"] is not None:  # its costs are fixed
            unused |= {"objectives", "targets"}
        used = {name: getattr(search, name) for name in EffectiveSearch.model_fields if name not in unused}
        names = filter(None, [method, used.get("promotion")])
        used["options"] = {name: options_of(name, search.options) for name in names}
        return {"search": EffectiveSearch(**used)}


class EffectiveTraining(TrainingParameters):
    """Parameters in effect for a single training; disabled settings are not part of its identity."""

    compression: Literal["none", "fp16"] = Field("none", exclude_if=is_default("none"))
    large_batch: LargeBatch | None = Field(None, exclude_if=is_default(None))


class TrainSpec(Spec):
    """Single trainings."""

    task: Task
    seed: int
    training: EffectiveTraining

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Return the parameters, with `large_batch` from its threshold on."""
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
    objectives: tuple[Objective, ...] = Field(("score",), exclude_if=is_default(("score",)))


class DeriveSpec(Spec):
    """Networks derived from the winner."""

    sections = ("final",)

    refit: bool
    teacher: Literal["none", "ensemble", "diverse"]
    temperature: float
    weight: float
    longer: float


class PruneSpec(Spec):
    """Structured pruning of the winner."""

    sections = ("compression",)

    prune: PruneSettings


class EvaluateSpec(Spec):
    """Predictions and scores of each scan."""

    sections = ("benchmark",)

    task: Task
    mirror: bool
    shifts: bool
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
    confidence: float
    mirror: bool
    shifts: bool
    seeds: Positive
    published: dict[str, str] = Field({}, exclude_if=lambda published: not published)
    derives: bool = Field(
        False, exclude_if=lambda derives: not derives, description="Whether derived.json belongs to the study."
    )
    prunes: bool = Field(
        False, exclude_if=lambda prunes: not prunes, description="Whether pruned.json belongs to the study."
    )

    @classmethod
    def derived(cls, settings: StudySettings, **extra: Any) -> dict[str, Any]:
        """Return whether networks are derived and pruned from the winner, and the files of published scores."""
        prunes = "prune" in settings.compression.steps
        return {"derives": settings.final.derives, "prunes": prunes, "published": settings.published_files}


class FiguresSpec(Spec):
    """Figures of the report."""

    sections = ("report",)

    task: Task
    scans: int = Field(description="Number of test scans drawn with their predictions.")


class ReportSpec(Spec):
    """The HTML report."""

    sections = ("report",)

    task: Task
    study: str
    title: str
    watts_per_core: float = Field(description="Power of a busy processor core in W.")
    grams_per_kwh: float = Field(description="Carbon intensity of the electricity in g CO2e per kWh.")


SPECS: dict[str, type[Spec]] = {
    "index": IndexSpec,
    "spatial": SpatialSpec,
    "preprocess": PreprocessSpec,
    "splits": SplitsSpec,
    "calibrate": CalibrateSpec,
    "search": SearchSpec,
    "train": TrainSpec,
    "select": SelectSpec,
    "derive": DeriveSpec,
    "prune": PruneSpec,
    "evaluate": EvaluateSpec,
    "profile": ProfileSpec,
    "benchmark": BenchmarkSpec,
    "figures": FiguresSpec,
    "report": ReportSpec,
}


def stage_spec(settings: StudySettings, stage: str, **extra: Any) -> Spec:
    """Select the settings on which one stage depends.

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
