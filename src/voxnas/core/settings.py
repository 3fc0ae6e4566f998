"""The settings of a study: the only source of the defaults, the JSON schema and the key table.

The description of a field is its documentation. ``config/config.yaml``, the schema and the key table in
``config/README.md`` are generated from this module (see :mod:`voxnas.core.settings_files`).
"""

from __future__ import annotations

import re
from math import prod
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from voxnas.core.errors import UserError, shown, suggest
from voxnas.core.paths import LEDGERS
from voxnas.core.record import Side
from voxnas.core.strategies import STRATEGIES

M = TypeVar("M", bound=BaseModel)
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
MOST_VOXELS = 2**27  # of a patch: 512 MiB in float32
Positive = Annotated[int, Field(gt=0, le=1_000_000)]
Cost = Annotated[int, Field(gt=0, le=10**15)]
Processors = Annotated[int, Field(gt=0, le=1024)]
StudyName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=100)]
Millimetres = Annotated[float, Field(gt=0, le=1000)]
Spacing = tuple[Millimetres, Millimetres, Millimetres]


def check_voxels(patch: tuple[int, int, int]) -> tuple[int, int, int]:
    """Check the number of voxels of a patch; ValueError above the limit."""
    if prod(patch) > MOST_VOXELS:
        raise ValueError(f"a patch has at most {MOST_VOXELS:,} voxels")
    return patch


Patch = Annotated[tuple[Side, Side, Side], AfterValidator(check_voxels)]
EntityValue = Annotated[str, Field(coerce_numbers_to_str=True)]  # YAML reads `run: 1` as a number
Task = Literal["segmentation", "classification", "regression"]
Objective = Literal["score", "latency_ms", "memory_mib", "parameters", "macs"]
Normalization = Literal["zscore", "percentile", "none"]
Precision = Literal["auto", "float32", "bf16", "fp16"]
ClipUnit = Literal["volume", "run", "participant"]
SplitUnit = Literal["participant", "site", "session", "run", "block"]


class Settings(BaseModel):
    """Base of the settings models: frozen, without unknown keys, NaN, infinity or texts as long as a path can be."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, str_max_length=1000)


class Budget(Settings):
    """Training budget of one network.

    The study's calibration.json converts CPU seconds to samples once. Every network thus receives the same
    processing time, and no decision depends on a clock.
    """

    amount: Annotated[float, Field(gt=0, le=1e12)] = Field(240, description="Amount, in `unit`.")
    unit: Literal["samples", "cpu_seconds"] = Field(
        "samples",
        description="`samples` seen in training, or `cpu_seconds`, which the calibration converts to samples.",
    )


class PhantomSettings(Settings):
    """The generated data set, used when `data_root` is empty."""

    participants: Annotated[int, Field(ge=4, le=100_000)] = Field(40, description="Number of participants to generate.")
    spacing: Annotated[float, Field(ge=2, le=8)] = Field(5.0, description="Voxel size of the generated scans, in mm.")


class DataSettings(Settings):
    """Location and layout of the scans."""

    layout: Literal["auto", "msd", "bids", "npz", "arrays", "timeseries"] = Field(
        "auto",
        description="`msd` (Medical Segmentation Decathlon or nnU-Net: dataset.json with image and label folders), "
        "`bids`, `npz` (an archive of volumes in the MedMNIST format, whose splits are pooled), `arrays` (arrays.json: "
        "labelled arrays in .npy, .npz, HDF5 or Zarr with a table of targets), `timeseries` (regional time series of "
        "an atlas, one array per run, with participants.tsv), or `auto`.",
    )
    folder: str = Field(
        "", description="Folder or archive of the data set inside `data_root`; ignored if it does not exist there."
    )
    suffix: str = Field("T1w", description="BIDS suffix of the images; `bold` selects the fMRI workflow.")
    filters: dict[str, tuple[EntityValue, ...] | EntityValue] = Field(
        {},
        description="BIDS: required entities by their file-name key, e.g. `{task: rest, run: [1, 2]}`; an empty value "
        "requires that the entity is absent.",
    )
    images: str = Field(
        "",
        description="BIDS: folder under derivatives/ with the preprocessed images to read (e.g. fMRIPrep); empty: raw "
        "images.",
    )
    derivatives: str = Field(
        "",
        description="BIDS: folder under derivatives/ with the label maps; empty: the only folder that has label maps.",
    )
    label_suffix: str = Field("dseg", description="BIDS: suffix of the label maps.")
    target: str = Field(
        "",
        description="Target of classification or regression: a column of participants.tsv or sessions.tsv (of the "
        "events table with `clips.unit: volume`), or of the table of targets of `arrays`; for `npz` the suffix of the "
        "array names, e.g. `labels` for train_labels.",
    )
    participant: str = Field(
        "",
        description="MSD and nnU-Net: regular expression that matches the whole name of a case, such as "
        "`(patient\\d+)_.*`; its first group is the participant. Empty: participants.tsv beside dataset.json, or else "
        "every case counts as a participant.",
    )
    limit: Annotated[int, Field(ge=0, le=10**9)] = Field(
        0, description="Maximum number of scans, drawn at random and stratified by class; 0: all."
    )
    strict: bool = Field(False, description="Stop at the first unusable scan instead of excluding it.")
    phantom: PhantomSettings = Field(PhantomSettings(), description="The generated data set.")

    @field_validator("participant")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        try:
            groups = re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"it is not a regular expression: {error}") from None
        if pattern and not groups:
            raise ValueError("it has no group; put the part that names the participant in parentheses")
        return pattern


class PreprocessSettings(Settings):
    """Preprocessing of a scan to the input array of a network."""

    spacing: Literal["auto"] | Spacing = Field(
        "auto", description="Voxel size in mm along the axes R, A, S; `auto`: from the fingerprint of the data set."
    )
    normalize: Normalization = Field(
        "zscore",
        description="Intensity normalisation per scan: zero mean and unit variance over the foreground, the 0.5 to "
        "99.5 percentiles mapped to [0, 1], or none.",
    )
    crop: bool = Field(True, description="Crop to the bounding box of the non-zero voxels.")
    shards: Annotated[int, Field(gt=0, le=10_000)] = Field(
        2, description="Number of preprocessing jobs; increase it for large data sets."
    )


SpatialStep = Literal["steady", "slice_timing", "motion", "bias", "mask", "anatomical", "template"]
Confound = Literal["motion", "wm_csf", "global_signal", "compcor", "ica_aroma", "high_pass"]


class QualitySettings(Settings):
    """Thresholds of quality; a run beyond a threshold is excluded, and the reason is recorded."""

    mean_fd_mm: Annotated[float, Field(gt=0)] | None = Field(
        0.5, description="Maximum mean framewise displacement, in mm."
    )
    mean_dvars: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Maximum mean DVARS, in percent of the mean signal of the brain."
    )
    tsnr: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Minimum median temporal signal-to-noise ratio within the brain mask."
    )
    mask_overlap: Annotated[float, Field(ge=0, le=1)] | None = Field(
        0.7, description="Minimum Dice overlap of the brain mask with the template mask (runs in template space)."
    )
    seconds: Annotated[float, Field(ge=0)] = Field(
        30.0, description="Minimum duration of a run in seconds, without dropped and scrubbed volumes."
    )


class SpatialSettings(Settings):
    """Spatial preprocessing of raw runs."""

    spatial: tuple[SpatialStep, ...] = Field(
        ("steady", "slice_timing", "motion", "bias", "mask", "anatomical", "template"),
        description="Spatial steps for raw images, always in this order; not used for preprocessed images "
        "(`data.images`).",
    )


class CleaningSettings(Settings):
    """Cleaning of the time series of a run, and its quality."""

    confounds: tuple[Confound, ...] = Field(
        ("motion", "wm_csf", "high_pass"),
        description="Confound groups to regress out, named as in nilearn's load_confounds.",
    )
    motion: Literal["basic", "power2", "derivatives", "full"] = Field(
        "full", description="Motion regressors: the 6 parameters, with squares, with derivatives, or all 24."
    )
    scrub_mm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Censor volumes whose framewise displacement exceeds this value, in mm."
    )
    high_pass: Annotated[float, Field(gt=0)] | None = Field(
        0.008, description="Cut-off of the high-pass filter, in Hz."
    )
    low_pass: Annotated[float, Field(gt=0)] | None = Field(None, description="Cut-off of the low-pass filter, in Hz.")
    smoothing_mm: Annotated[float, Field(ge=0)] = Field(
        0.0, description="Full width at half maximum of the Gaussian kernel, in mm; 0: none."
    )
    standardize: Literal["zscore", "percent", "none"] = Field(
        "zscore", description="Per voxel and run: zero mean and unit variance, percent signal change, or none."
    )
    quality: QualitySettings = Field(QualitySettings(), description="Thresholds of run quality.")


class BoldSettings(CleaningSettings, SpatialSettings):
    """Preprocessing of a BOLD run to clean time series."""


class ClipWindow(Settings):
    """Input window of a network on fMRI."""

    frames: Side = Field(16, description="Volumes per clip; with `unit: volume` the labelled volume is the last one.")
    step: Positive = Field(1, description="Keep every n-th volume of a clip.")
    delay: Annotated[float, Field(ge=0, le=3600)] | None = Field(
        None,
        description="With `unit: volume`, which requires it: seconds from an event to the volumes that it labels. 5, "
        "the time to the peak of the haemodynamic response, if the events are the times of stimuli; 0 if the events "
        "are already shifted by the response.",
    )
    per_run: Annotated[int, Field(gt=0, le=10_000)] = Field(
        4, description="Clips per run whose predictions are averaged."
    )

    @property
    def span(self) -> int:
        """Number of volumes from the first to the last volume of a clip, inclusive."""
        return (self.frames - 1) * self.step + 1


class ClipSettings(ClipWindow):
    """Input window of a network on fMRI, and the unit of prediction."""

    unit: ClipUnit = Field(
        "run",
        description="Unit of prediction: volume (labelled by its event), run, or participant; the predictions of all "
        "clips of a run or participant are averaged.",
    )
    views: tuple[Literal["clips", "maps", "series", "connectivity"], ...] = Field(
        ("clips",),
        min_length=1,
        description="Views prepared of each run: clips of volumes (4D), maps of the temporal mean and standard "
        "deviation (3D), regional time series of an atlas (1D), or their correlation matrix.",
    )
    view: Literal["auto", "clips", "maps", "series", "connectivity"] = Field(
        "auto", description="Input view of the searched networks; `auto`: the first of `views`."
    )
    atlas: str = Field("", description="Label image of the regions (NIfTI), for `series` and `connectivity`.")


class SplitSettings(Settings):
    """Training folds, and the locked test split."""

    unit: SplitUnit = Field(
        "participant",
        description="Unit that is never divided between splits. `session`, `run` and `block` define a "
        "within-participant study, which the report states. A block is a sequence of events of one kind "
        "(`clips.unit: volume`); its run is cleaned whole.",
    )
    gap: Annotated[float, Field(ge=0, le=3600)] = Field(
        10.0,
        description="`unit: block`: time after a block of another split during which volumes are not used, in seconds.",
    )
    test: Annotated[float, Field(gt=0, lt=1)] | Literal["folder"] = Field(
        0.2,
        description="Fraction of the units in the locked test split, or `folder`: the cases of imagesTs (MSD, "
        "nnU-Net), with their labels in labelsTs.",
    )
    test_units: tuple[str, ...] = Field(
        (), description="Names of the units in the locked test split, e.g. sites; empty: drawn at random."
    )
    folds: Annotated[int, Field(ge=2, le=10_000)] | Literal["leave_one_out"] = Field(
        5,
        description="Number of folds of the remaining units, or one fold per unit. The search validates on fold 0, "
        "seed s of a finalist on fold s.",
    )


class LimitSettings(Settings):
    """Hard limits: no proposed network exceeds them."""

    parameters: Cost | None = Field(500_000, description="Maximum number of parameters.")
    macs: Cost | None = Field(None, description="Maximum number of multiply-adds (MACs) for one patch.")
    latency_ms: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Maximum latency of one patch in ms, predicted by the calibration of the study."
    )
    memory_mib: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Maximum predicted peak memory of a training step in MiB, excluding the idle process (about 400 "
        "MiB).",
    )


class SoftTarget(Settings):
    """Target of a cost in the soft-constraint reward."""

    value: Annotated[float, Field(gt=0)] = Field(description="Cost at which the reward is the score.")
    exponent: Annotated[float, Field(gt=0, le=10)] = Field(
        0.07, description="A network of k times this cost needs a score k^exponent times as large."
    )


class SearchSettings(Settings):
    """The architecture search."""

    methods: tuple[str, ...] = Field(
        ("voxnas", "random"),
        description="Strategies to run, each with the same number of steps; none: the hand-made networks are compared.",
    )
    space: str = Field(
        "auto",
        description="A name in config/search_spaces, a YAML file, or `auto`: unet-small or cnn, by the task; clip or "
        "matrix where networks on clips or on connectivity are searched.",
    )
    steps: Annotated[int, Field(ge=0, le=100_000)] = Field(
        6, description="Steps of each method; raising it runs only the new ones."
    )
    order: Literal["strict", "arrival"] = Field(
        "strict",
        description="`strict`: proposal k knows exactly the results 0 .. k-W; `arrival`: it is made when its step "
        "starts, from every result that is there, and records them.",
    )
    window: Annotated[int, Field(gt=0, le=100_000)] = Field(
        2,
        description="W: step k waits for result k-W, so W steps can run at once; twice the workers keeps all busy.",
    )
    start: bool = Field(True, description="First trial: the nnU-Net plan of the data, scaled to the limits.")
    budget: Budget = Field(Budget(amount=160), description="Budget of one trial, until it is promoted.")
    promotion: str = Field(
        "",
        description="Strategy that trains the best trials of every search longer, in steps of the same search, such as "
        "`asha`; empty: none.",
    )
    options: dict[str, dict[str, Any]] = Field({}, description="Options of each strategy, by its name.")
    limits: LimitSettings = Field(LimitSettings(), description="Hard limits on every proposed network.")
    prior: tuple[str, ...] = Field(
        (),
        description="Trials of earlier studies over the same space, which guide `voxnas` until its own trials "
        "outweigh or contradict them: tables `trials.tsv`, or folders of published studies.",
    )
    objectives: Annotated[tuple[Objective, ...], Field(max_length=3)] = Field(
        ("score",),
        description="`score`, and up to two costs of one patch to be minimised with it: `latency_ms` and `memory_mib` "
        "are predicted by the calibration, `parameters` and `macs` are counted. The result of a search is a front.",
    )
    targets: dict[Literal["latency_ms", "memory_mib", "parameters", "macs"], SoftTarget] = Field(
        {},
        description="Soft constraints on costs among the objectives, such as `latency_ms: {value: 20}`: all methods "
        "that propose single steps maximise score x (cost / value)^-exponent (MnasNet, Tan et al. 2019) instead of the "
        "front. Empty: none.",
    )
    finalists: Annotated[int, Field(gt=0, le=1000)] = Field(
        1,
        description="Networks of each method that are retrained at full budget; with several objectives they are "
        "chosen along the front, the best score first.",
    )
    seeds: Annotated[int, Field(gt=0, le=1000)] = Field(
        1,
        description="Independent runs of each method, which differ in their seed; a statement about methods needs at "
        "least three. Run n > 1 is the search `<method>-s<n>`.",
    )

    @field_validator("objectives")
    @classmethod
    def _check_objectives(cls, objectives: tuple[Objective, ...]) -> tuple[Objective, ...]:
        if objectives[:1] != ("score",) or len(set(objectives)) < len(objectives):
            raise ValueError(f"objectives = {list(objectives)}: `score` comes first, and each objective is named once")
        return objectives

    @model_validator(mode="after")
    def _check_targets(self) -> SearchSettings:
        others = sorted(set(self.targets) - set(self.objectives))
        if others:
            raise ValueError(f"targets.{others[0]}: {others[0]} is not in objectives = {list(self.objectives)}")
        return self


class BaselineSettings(Settings):
    """Hand-made networks, trained with searched recipes under the same budgets."""

    names: tuple[str, ...] = Field(
        ("auto",),
        description="Registered baselines; `auto`: all baselines of the task that are scaled to the limits; empty: "
        "none. `block-<name>` is a fixed small network built from one block.",
    )
    steps: Literal["auto"] | Annotated[int, Field(ge=0, le=100_000)] = Field(
        "auto",
        description="Steps of the recipe search of each baseline, which begins with its published recipe; `auto`: as "
        "many as `search.steps`, so that hand-made and searched networks have the same search budget. 0: the published "
        "recipe without trials.",
    )


class LargeBatch(Settings):
    """Stabilisation of large batches."""

    layerwise: bool = Field(
        True,
        description="Replace SGD by LARS and AdamW by LAMB (You et al. 2017, 2019): the update of each layer is scaled "
        "to the norm of its weights.",
    )
    warm_up: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="Fraction of the budget with linear learning-rate warm-up (Goyal et al. 2017)."
    )
    growth: tuple[tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(gt=0)]], ...] = Field(
        ((0.34, 2.0),),
        description="Batch-size control (Mikami et al. 2018): pairs (fraction of the budget, factor on `batch_size` "
        "from there on); empty: constant.",
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Label smoothing of the cross-entropy losses."
    )

    @model_validator(mode="after")
    def _check_growth(self) -> LargeBatch:
        shares = [share for share, _ in self.growth]
        if shares != sorted(set(shares)):
            raise ValueError(f"growth = {list(self.growth)}: the fractions of the budget must ascend")
        return self


class LargeBatchSettings(LargeBatch):
    """Stabilisation of large batches; disabled, and not part of a training's identity, below the threshold."""

    threshold: Positive = Field(256, description="Minimum `training.batch_size` that enables all of these settings.")


class TrainingParameters(Settings):
    """Settings that every single training depends on."""

    batch_size: Positive = Field(2, description="Global batch size, independent of the number of processes.")
    patch: Literal["auto"] | Patch = Field(
        "auto", description="Patch size in voxels (x, y, z); `auto`: from the fingerprint of the data set."
    )
    precision: Precision = Field(
        "auto",
        description="Autocast precision: `auto` is bfloat16 where the hardware supports it, else float16 on a GPU, "
        "else float32. `fp16` uses loss scaling and is slow on most CPUs.",
    )
    compression: Literal["none", "fp16"] = Field(
        "none", description="Compression of the exchanged gradients: none, or rounding to 16 bits."
    )
    threads: Processors = Field(1, description="Threads per training process (part of the identity of a result).")
    validations: Annotated[int, Field(gt=0, le=10_000)] = Field(
        4, description="Validations per training; the last one is at its end."
    )
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="Stop after this number of validations without improvement; 0: never."
    )
    foreground: Annotated[float, Field(ge=0, le=1)] = Field(
        0.33, description="Fraction of the patches centred on a labelled voxel (segmentation)."
    )


class TrainingSettings(TrainingParameters):
    """Training of trials and finalists."""

    budget: Budget = Field(Budget(amount=400), description="Budget of one finalist or baseline, per seed.")
    seeds: Annotated[int, Field(gt=0, le=1000)] = Field(2, description="Seeds per finalist and baseline.")
    large_batch: LargeBatchSettings = Field(LargeBatchSettings(), description="Large batches.")
    tensorboard: bool = Field(
        False,
        description="Write TensorBoard event files to results/<study>/tensorboard during training; no result depends "
        "on it.",
    )


class BenchmarkSettings(Settings):
    """The locked test and its statistics."""

    mirror: bool = Field(
        True,
        description="Test-time augmentation by the mirror axes of the recipe (segmentation).",
    )
    shifts: bool = Field(
        False,
        description="Test-time augmentation by shifts of one voxel to both sides along each axis: six further "
        "predictions (segmentation).",
    )
    cross_validate: bool = Field(
        False,
        description="Also score each network on the scans outside the test split, each fold by the seed that did not "
        "train on it (`training.seeds` >= `splits.folds` covers all folds). Fold 0, which the searches use, scores no "
        "network of a study with a search. Requires `training.patience` 0.",
    )
    nsd_tolerance_mm: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Tolerance of the normalised surface distance, in mm."
    )
    measure: Literal["auto", "auc", "accuracy", "mae", "r"] = Field(
        "auto",
        description="Primary measure on the test split: `auto` is Dice, the area under the ROC curve, or the mean "
        "absolute error; `accuracy` for classification, `r` (Pearson correlation) for regression.",
    )
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="Nominal coverage of the intervals.")
    published: dict[Annotated[str, Field(pattern=r"^[A-Za-z0-9 ().-]+$")], str] = Field(
        {},
        description="Published scores of other methods on the test scans, for the comparisons alone: name and TSV file "
        "(relative to `data_root`) with the scan in its first column, and a column `dice` or columns `dice_<label>`.",
    )
    latency_repeats: Positive = Field(20, description="Repetitions of the timed forward pass.")


class FinalSettings(Settings):
    """Trainings of the winner on all scans outside the test split, after its choice by validation."""

    refit: bool = Field(False, description="Train the winner again on all folds, as a user does with a model to ship.")
    teacher: Literal["none", "ensemble", "diverse"] = Field(
        "none",
        description="Train the winner's architecture on all folds with soft targets (Hinton et al. 2015): of the seeds "
        "of the winner (`ensemble`), or of the three best networks of different sources (`diverse`). A scan is taught "
        "only by trainings that did not learn it, which requires `training.seeds` >= `splits.folds`.",
    )
    temperature: Annotated[float, Field(gt=0)] = Field(2.0, description="Temperature of the soft targets.")
    weight: Annotated[float, Field(gt=0, le=1)] = Field(0.5, description="Weight of the soft targets in the loss.")
    longer: Annotated[float, Field(ge=1)] = Field(
        1.0, description="Samples of these trainings, as a multiple of the samples of the winner's trainings."
    )

    @property
    def derives(self) -> bool:
        """Whether the study derives networks from its winner."""
        return self.refit or self.teacher != "none"


class PruneSettings(Settings):
    """Structured pruning of the winner: channels are removed for good, and the rest is fine-tuned.

    Each level is a network of its own, with its own key, beside a control: the same architecture trained from fresh
    weights for as many multiply-adds as the training of the winner and the fine-tuning took together.
    """

    criterion: Literal["magnitude", "random"] = Field(
        "magnitude",
        description="Channels to keep: those with the largest L2 norm of all weights tied to them, compared over all "
        "layers (Fang et al. 2023), or random ones, the control of the criterion.",
    )
    cost: Literal["parameters", "macs"] = Field("parameters", description="Cost to which the levels refer.")
    levels: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        (0.5, 0.25), min_length=1, description="Largest cost of each pruned network, as a share of the winner's."
    )
    least: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.125, description="Share of its channels that each layer keeps at least, so that none collapses."
    )
    longer: Annotated[float, Field(gt=0)] = Field(
        0.5, description="Samples of the fine-tuning, as a multiple of the samples of the winner's trainings."
    )
    learning_rate: Annotated[float, Field(gt=0, le=1)] = Field(
        0.3, description="Learning rate of the fine-tuning, as a multiple of the winner's."
    )
    teacher: Annotated[float, Field(ge=0, le=1)] = Field(
        0.5, description="Weight of the winner's outputs as soft targets (distillation) in the fine-tuning; 0: none."
    )
    temperature: Annotated[float, Field(gt=0)] = Field(2.0, description="Temperature of the soft targets.")
    scratch: bool = Field(True, description="Train the control from fresh weights.")

    @field_validator("levels", mode="after")
    @classmethod
    def _check_levels(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(levels)) < len(levels):
            raise ValueError("each level must occur once")
        return levels


class CompressionSettings(Settings):
    """Compression of the winner after its choice by validation; the test split takes no part."""

    steps: tuple[Literal["prune"], ...] = Field((), description="Steps of the compression: `prune`; none by default.")
    prune: PruneSettings = Field(PruneSettings(), description="Structured pruning.")


class ReportSettings(Settings):
    """The HTML report."""

    title: str = Field("", description="Title of the report; empty: the study's name.")
    scans: Annotated[int, Field(ge=1, le=12)] = Field(
        3, description="Number of test scans drawn with their predictions."
    )
    watts_per_core: Annotated[float, Field(gt=0)] = Field(
        12.0, description="Power of a busy processor core in W, for the estimate of the energy."
    )
    grams_per_kwh: Annotated[float, Field(ge=0)] = Field(
        475.0, description="Carbon intensity of the electricity in g CO2e per kWh, for the estimate of the emissions."
    )


RESERVED = frozenset(
    ("kind", "launcher", "processes", "nodes", "training", "tensorboard", "mem", "mem_mb", "mem_mib", "runtime")
) | {"tmpdir", "mpi", "slurm_extra", "sbatch"}
"""Resources that the rules define themselves, and raw options of sbatch, which belong to a profile."""


class NodeKind(Settings):
    """A group of nodes of equal speed."""

    slots: Positive = Field(1, description="Trainings that all nodes of this kind run concurrently.")
    seconds: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="`order: arrival`: maximum predicted duration of a trial proposed for these nodes, in seconds.",
    )
    resources: dict[str, str | int] = Field({}, description="Snakemake resources of a job on these nodes.")

    @field_validator("resources", mode="after")
    @classmethod
    def _check_resources(cls, resources: dict[str, str | int]) -> dict[str, str | int]:
        for name, value in resources.items():
            if name in RESERVED:
                raise ValueError(f"{name} is reserved; set it in a profile or by --set-resources")
            if not re.fullmatch("[a-z][a-z0-9_]*", name):
                raise ValueError(f"{name!r} is not the name of a resource (a-z, 0-9 and _)")
            if not re.fullmatch("[A-Za-z0-9_.,:=@%+/-]*", str(value)):
                raise ValueError(f"{name} = {shown(value)}: letters, digits and _.,:=@%+/- are allowed")
        return resources


class StudySettings(Settings):
    """All settings of one study."""

    study: StudyName = Field("phantom", description="Name of the study; its outputs are in results/<study>.")
    data_root: str = Field("", description="Folder of the data set; empty: the generated phantom.")
    task: Task = Field("segmentation", description="Task of the networks.")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="Root seed of all random numbers.")
    data: DataSettings = Field(DataSettings(), description="Reading the data.")
    preprocess: PreprocessSettings = Field(PreprocessSettings(), description="Preprocessing.")
    bold: BoldSettings = Field(BoldSettings(), description="Preprocessing of time series.")
    clips: ClipSettings = Field(ClipSettings(), description="Clips of time series.")
    splits: SplitSettings = Field(SplitSettings(), description="Splits.")
    search: SearchSettings = Field(SearchSettings(), description="Architecture search.")
    baselines: BaselineSettings = Field(BaselineSettings(), description="Hand-made networks.")
    training: TrainingSettings = Field(TrainingSettings(), description="Training.")
    final: FinalSettings = Field(FinalSettings(), description="Trainings of the winner on all scans.")
    compression: CompressionSettings = Field(CompressionSettings(), description="Compression of the winner.")
    benchmark: BenchmarkSettings = Field(BenchmarkSettings(), description="Benchmark.")
    report: ReportSettings = Field(ReportSettings(), description="Report.")
    container: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.,:=@%+~/-]*$")] = Field(
        "",
        description="Container image for `--software-deployment-method apptainer`: a file, a folder, or an address "
        "such as `docker://...`; empty: envs/voxnas.sif of the project. No result depends on it.",
    )
    placement: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")], NodeKind] = Field(
        {},
        description="Kinds of nodes among which trainings are placed by predicted time, by name: `slots`, `seconds` "
        "and `resources` (docs/cluster.md). No result depends on it.",
    )
    paper: tuple[StudyName, ...] = Field(
        ("phantom", "hippocampus", "efficiency", "efficiency-class"),
        description="Studies published by `snakemake paper` (config/studies/<name>.yaml).",
    )

    @property
    def timed(self) -> bool:
        """Whether the scans are fMRI runs: series of volumes or regional time series."""
        return self.data.suffix == "bold" or self.data.layout == "timeseries"

    @property
    def view(self) -> str:
        """Input view of the searched networks; empty for volumes."""
        if not self.timed:
            return ""
        return self.clips.views[0] if self.clips.view == "auto" else self.clips.view

    @property
    def published_files(self) -> dict[str, str]:
        """Path of each table of published scores."""
        return {name: str(Path(self.data_root) / file) for name, file in self.benchmark.published.items()}

    @field_validator("data_root", mode="after")
    @classmethod
    def _home(cls, folder: str) -> str:
        return str(Path(folder).expanduser()) if folder.startswith("~") else folder

    @model_validator(mode="after")
    def _check_consistency(self) -> StudySettings:
        for name, text in (("data_root", self.data_root), ("data.folder", self.data.folder)):
            if "{" in text or "}" in text:
                raise ValueError(
                    f"{name} = {text!r} contains braces, which are wildcards of Snakemake; rename or link the folder"
                )
        if self.data.folder and not self.data_root:
            raise ValueError(
                f"data_root is empty, but the study reads the folder {self.data.folder!r}; "
                "add --config data_root=PATH, with the path of this folder or of its parent"
            )
        if self.study in (LEDGERS, "published"):
            raise ValueError(f"study = {self.study!r} is the name of another folder of results/; choose another name")
        if self.timed and self.view not in self.clips.views:
            raise ValueError(f"clips.view = {self.clips.view!r} is not in clips.views = {list(self.clips.views)}")
        single = self.timed and self.clips.unit == "volume"
        if single and ("clips" not in self.clips.views or "connectivity" in self.clips.views):
            raise ValueError(
                "clips.unit = volume requires clips in clips.views and excludes connectivity (of a whole run)"
            )
        folds, seeds = self.splits.folds, self.training.seeds
        if self.final.teacher != "none" and (folds == "leave_one_out" or seeds < folds):
            raise ValueError(
                f"final.teacher = {self.final.teacher} needs a training that left out each of the {folds} folds; "
                "set training.seeds to splits.folds, or final.teacher: none"
            )
        if self.final.teacher != "none" and self.splits.unit == "block":
            raise ValueError(
                f"final.teacher = {self.final.teacher} needs folds of scans; splits.unit = block divides runs, so "
                "set final.teacher: none"
            )
        if self.benchmark.cross_validate and self.training.patience:
            raise ValueError(
                f"training.patience = {self.training.patience} ends each training by the fold that "
                "benchmark.cross_validate scores; set training.patience: 0"
            )
        if self.benchmark.cross_validate and self.training.seeds < 2:
            raise ValueError("benchmark.cross_validate requires training.seeds >= 2: the searches use fold 0")
        if single and self.clips.delay is None:
            raise ValueError(
                "clips.unit = volume requires clips.delay: 5 (s) if the events are the times of stimuli, 0 if they are "
                "already shifted by the haemodynamic response"
            )
        fitting = {"classification": ("auto", "auc", "accuracy"), "regression": ("auto", "mae", "r")}
        if self.benchmark.measure not in fitting.get(self.task, ("auto",)):
            raise ValueError(
                f"benchmark.measure = {self.benchmark.measure!r} does not fit the task {self.task}; allowed: "
                f"{', '.join(fitting.get(self.task, ('auto',)))}"
            )
        asked = {kind: set(node.resources) for kind, node in self.placement.items()}
        for kind, names in asked.items():
            lacking = set().union(*asked.values()) - names
            if lacking:
                raise ValueError(
                    f"placement.{kind}.resources lacks {min(lacking)}, which other kinds define; add it for all kinds "
                    "(gres: none requests none)"
                )
        if self.splits.unit == "block" and not single:
            raise ValueError("splits.unit = block divides the events of runs; it requires clips.unit: volume")
        if self.splits.test == "folder" and self.splits.test_units:
            raise ValueError("splits.test = folder locks the cases of imagesTs; remove splits.test_units")
        if not self.search.methods and not self.baselines.names:
            raise ValueError("search.methods and baselines.names are both empty; name at least one")
        # The default target of single volumes of a run is the trial_type of their events.
        if self.task != "segmentation" and self.data_root and not self.data.target and not single:
            raise ValueError(f"data.target is empty; {self.task} requires a target (a column of participants.tsv)")
        return self


def needs_calibration(settings: StudySettings) -> bool:
    """Whether a decision of the study depends on times measured on this device."""
    budgets = (settings.search.budget, settings.training.budget)
    limits = settings.search.limits
    predicted = ("latency_ms", "memory_mib")
    limited = any(getattr(limits, name) is not None or name in settings.search.objectives for name in predicted)
    return limited or any(b.unit == "cpu_seconds" for b in budgets)


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """Keys of the nested model that contains the last part of `location`."""
    for part in location[:-1]:
        field = model.model_fields.get(str(part))
        if field is None:
            return []
        inner = [a for a in (field.annotation, *get_args(field.annotation)) if isinstance(a, type)]
        models = [a for a in inner if issubclass(a, BaseModel)]
        if not models:
            return []
        model = models[0]
    return list(model.model_fields)


def parse_settings(raw: dict[str, Any], source: str = "the configuration") -> StudySettings:
    """Validate a configuration mapping.

    Parameters
    ----------
    raw : dict
        Content of a YAML file, or the ``config`` of Snakemake.
    source : str
        Name of the source in error messages.

    Returns
    -------
    StudySettings
        Options of strategies are limited to values that differ from their defaults.

    Raises
    ------
    UserError
        The message names the first invalid key, its value, the allowed values, and the most similar valid key.
    """
    _check_texts(raw, source)
    settings = validated(StudySettings, raw, source)
    search = settings.search
    for key, names in {"methods": search.methods, "promotion": filter(None, [search.promotion])}.items():
        for name in names:
            _check_strategy(f"{source}: search.{key}", name, promotes=key == "promotion")
    if search.prior and not any(STRATEGIES[name].uses_prior for name in search.methods):
        users = [name for name in STRATEGIES if STRATEGIES[name].uses_prior]
        raise UserError(f"{source}: search.prior is used by none of search.methods", f"add {' or '.join(users)}")
    options = {}
    for name, values in search.options.items():
        _check_strategy(f"{source}: search.options", name)
        strategy = validated(STRATEGIES[name], values, source, ("search", "options", name))
        if changed := strategy.model_dump(mode="json", exclude_defaults=True):
            options[name] = changed
    return settings.model_copy(update={"search": search.model_copy(update={"options": options})})


def _check_texts(raw: Any, source: str) -> None:
    """Check that no text has control characters or surrogates; a part that YAML repeats by aliases is read once."""
    rest, known = [raw], set()
    while rest:
        item = rest.pop()
        if isinstance(item, dict | list) and id(item) not in known:
            known.add(id(item))
            rest += [*item, *item.values()] if isinstance(item, dict) else item
        elif isinstance(item, str) and UNPRINTABLE.search(item):
            raise UserError(f"{source}: the text {shown(item)} contains control characters", "remove them")


def _check_strategy(where: str, name: str, promotes: bool | None = None) -> None:
    """Check that a strategy exists and, if `promotes` is given, that it promotes trials or else proposes networks."""
    try:
        kind = STRATEGIES[name].kind
    except UserError as error:
        raise UserError(f"{where}: {error.what}", error.remedy) from None
    if promotes is not None and (kind == "promotion") != promotes:
        fitting = [n for n in STRATEGIES if (STRATEGIES[n].kind == "promotion") == promotes]
        what = "is not a promotion strategy" if promotes else "is a promotion strategy and proposes no networks"
        raise UserError(f"{where}: {name!r} {what}", f"known: {', '.join(fitting)}")


def validated(
    model: type[M], raw: dict[str, Any], source: str, prefix: tuple[str, ...] = (), page: str = "config/README.md"
) -> M:
    """Validate a mapping, located at the keys `prefix` of a study file, as a model that a `page` documents."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        location = tuple(p for p in first["loc"] if not str(p).startswith(("literal[", "tuple[")))
        path = [*prefix, *map(str, location)]
        key = ".".join(path)
        value = first.get("input")
        if first["type"] == "extra_forbidden":
            known = _known_keys(model, location)
            section = "".join(f"{part}." for part in path[:-1])
            raise UserError(
                f"{source}: unknown key {key!r} (value {shown(value)})", suggest(path[-1], known, section)
            ) from None
        # A value of a union type fails once for each member of the union.
        messages = [
            e["msg"].removeprefix("Value error, ") for e in error.errors() if e["loc"][: len(location)] == location
        ]
        allowed = ", or ".join(dict.fromkeys(messages))
        if not location:  # a rule about several keys, named in its message
            raise UserError(": ".join(filter(None, [source, key, allowed])), f"see {page}") from None
        what = key if isinstance(value, dict) else f"{key} = {shown(value)}"
        raise UserError(f"{source}: {what} is not allowed", f"{allowed}; see {page}") from None
