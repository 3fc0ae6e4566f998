"""The settings of a study: the only source of defaults, of the JSON schema and of the key table.

Every field's description is its documentation; ``config/config.yaml``, the schema and the key
table in ``config/README.md`` are generated from here (see :mod:`voxnas.core.settings_files`).
"""

from __future__ import annotations

import difflib
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from voxnas.core.errors import UserError

Positive = Annotated[int, Field(gt=0)]
Spacing = tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]]
Patch = tuple[Positive, Positive, Positive]
EntityValue = Annotated[str, Field(coerce_numbers_to_str=True)]  # YAML reads `run: 1` as a number
Task = Literal["segmentation", "classification", "regression"]


class Settings(BaseModel):
    """Base of every settings model: an unknown key is an error, a value never changes."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Budget(Settings):
    """How long one network trains.

    CPU seconds are converted to samples once, by the study's calibration.json, so that every network
    gets the same time and no clock takes part in a decision.
    """

    amount: Annotated[float, Field(gt=0)] = Field(240, description="How much.")
    unit: Literal["samples", "cpu_seconds"] = Field(
        "samples", description="`samples` seen in training, or `cpu_seconds`, converted to samples by calibration."
    )


class PhantomSettings(Settings):
    """The generated data set that is used when `data_root` is empty."""

    participants: Annotated[int, Field(ge=4)] = Field(40, description="Number of participants to generate.")
    spacing: Annotated[float, Field(ge=2, le=8)] = Field(5.0, description="Voxel size of the generated scans, in mm.")


class DataSettings(Settings):
    """Where the scans are and how to read them."""

    layout: Literal["auto", "msd", "bids", "npz", "timeseries"] = Field(
        "auto",
        description="`msd` (dataset.json with image and label folders; also nnU-Net's), `bids`, `npz` (an archive of "
        "volumes as MedMNIST's, whose own splits are pooled), `timeseries` (series of an atlas's regions, one array a "
        "run, with participants.tsv), or `auto`.",
    )
    folder: str = Field(
        "", description="Folder (or archive) inside `data_root` that holds the data set, used where it exists there."
    )
    suffix: str = Field("T1w", description="BIDS suffix of the image to read; `bold` makes a study of time series.")
    filters: dict[str, tuple[EntityValue, ...] | EntityValue] = Field(
        {},
        description="BIDS: entities that an image must have, by their key in file names, such as "
        "`{task: rest, run: [1, 2]}`; an empty value: the entity must be absent.",
    )
    images: str = Field(
        "",
        description="BIDS: folder under derivatives/ whose preprocessed images are read (fMRIPrep); empty: raw ones.",
    )
    derivatives: str = Field(
        "", description="BIDS: name of the folder under derivatives/ with the label maps; empty: the only one."
    )
    label_suffix: str = Field("dseg", description="BIDS: suffix of the label maps.")
    target: str = Field(
        "",
        description="What to predict (classification, regression): a column of participants.tsv or of participants' "
        "sessions.tsv (of the events, with `clips.unit: volume`), or for `npz` the end of the arrays' names, such as "
        "`labels` of train_labels.",
    )
    limit: Annotated[int, Field(ge=0)] = Field(
        0, description="Most scans to use, drawn by the seed and by class (classification); 0: all."
    )
    strict: bool = Field(False, description="Stop at the first scan that cannot be used, instead of leaving it out.")
    phantom: PhantomSettings = Field(PhantomSettings(), description="The generated data set.")


class PreprocessSettings(Settings):
    """From a scan to the array that a network sees."""

    spacing: Literal["auto"] | Spacing = Field(
        "auto", description="Voxel size in mm, in the order of the axes R, A, S; `auto`: from the data's fingerprint."
    )
    normalize: Literal["zscore", "percentile", "none"] = Field(
        "zscore",
        description="Intensity of one scan: zero mean and unit variance over the foreground, "
        "the 0.5 to 99.5 percentiles to [0, 1], or unchanged.",
    )
    crop: bool = Field(True, description="Crop to the box of the non-zero voxels.")
    shards: Positive = Field(2, description="Number of jobs that share the scans; raise it with the data set.")


SpatialStep = Literal["steady", "slice_timing", "motion", "bias", "mask", "anatomical", "template"]
Confound = Literal["motion", "wm_csf", "global_signal", "compcor", "ica_aroma", "high_pass"]


class QualitySettings(Settings):
    """When a run is good enough; one that is not is excluded with its reason."""

    mean_fd_mm: Annotated[float, Field(gt=0)] | None = Field(
        0.5, description="Largest mean framewise displacement, in mm."
    )
    mean_dvars: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Largest mean DVARS, in percent of the brain's mean signal."
    )
    tsnr: Annotated[float, Field(ge=0)] | None = Field(
        None, description="Smallest median temporal signal-to-noise ratio within the brain mask."
    )
    mask_overlap: Annotated[float, Field(ge=0, le=1)] | None = Field(
        0.7, description="Smallest Dice overlap of the brain mask with the template's (where the run is in its space)."
    )
    seconds: Annotated[float, Field(ge=0)] = Field(
        30.0, description="Shortest run, in seconds, after dropped and scrubbed volumes."
    )


class BoldSettings(Settings):
    """From a run (BOLD) to clean time series."""

    spatial: tuple[SpatialStep, ...] = Field(
        ("steady", "slice_timing", "motion", "bias", "mask", "anatomical", "template"),
        description="Steps for raw images, always in this order; preprocessed ones (`data.images`) need none of them.",
    )
    confounds: tuple[Confound, ...] = Field(
        ("motion", "wm_csf", "high_pass"),
        description="Groups of confounds that are regressed out, in the words of nilearn's load_confounds.",
    )
    motion: Literal["basic", "power2", "derivatives", "full"] = Field(
        "full", description="Terms of the motion parameters: 6, with squares, with derivatives, or all 24."
    )
    scrub_mm: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Leave out volumes with a framewise displacement above this, in mm."
    )
    high_pass: Annotated[float, Field(gt=0)] | None = Field(0.008, description="Lowest frequency that stays, in Hz.")
    low_pass: Annotated[float, Field(gt=0)] | None = Field(None, description="Highest frequency that stays, in Hz.")
    smoothing_mm: Annotated[float, Field(ge=0)] = Field(0.0, description="Full width at half maximum, in mm; 0: none.")
    standardize: Literal["zscore", "percent", "none"] = Field(
        "zscore", description="Each voxel over its run: zero mean and unit variance, percent of its mean, or unchanged."
    )
    quality: QualitySettings = Field(QualitySettings(), description="When a run is good enough.")


class ClipSettings(Settings):
    """What of a run a network sees at once, and what it is asked."""

    unit: Literal["volume", "run", "participant"] = Field(
        "run",
        description="What has a target and a score: each volume (by its event), each run, or each participant; "
        "predictions of the clips of a run or participant are averaged.",
    )
    frames: Positive = Field(16, description="Volumes of a clip; with `unit: volume` it ends with the labelled one.")
    step: Positive = Field(1, description="Every how manyth volume a clip takes.")
    delay: Annotated[float, Field(ge=0)] = Field(
        5.0, description="Seconds from an event to the peak of its response (`unit: volume`)."
    )
    per_run: Positive = Field(4, description="Clips of a run that are predicted and averaged.")
    views: tuple[Literal["clips", "maps", "series", "connectivity"], ...] = Field(
        ("clips",),
        min_length=1,
        description="What is prepared of each run: clips of volumes (4D), maps of mean and deviation over time (3D), "
        "series of an atlas's regions (1D), or their correlations (matrix).",
    )
    view: Literal["auto", "clips", "maps", "series", "connectivity"] = Field(
        "auto", description="What the searched networks see; `auto`: the first of `views`."
    )
    atlas: str = Field("", description="Label image of regions (NIfTI), for series and connectivity.")


class SplitSettings(Settings):
    """Who is trained on, who selects, and who is locked away."""

    unit: Literal["participant", "site", "session", "run"] = Field(
        "participant",
        description="What is never split. `session` and `run` make a within-participant study, which the report says.",
    )
    test: Annotated[float, Field(gt=0, lt=1)] = Field(0.2, description="Share of the units in the locked test split.")
    test_units: tuple[str, ...] = Field(
        (), description="Names of the units in the locked test split, such as sites; empty: drawn by the seed."
    )
    folds: Annotated[int, Field(ge=2)] | Literal["leave_one_out"] = Field(
        5,
        description="Folds of the rest, or one for each unit. The search validates on fold 0; seed s of a finalist on "
        "fold s.",
    )


class LimitSettings(Settings):
    """Hard limits: a network beyond one of them is never proposed."""

    parameters: Positive | None = Field(500_000, description="Largest number of parameters.")
    macs: Positive | None = Field(None, description="Largest number of multiply-adds for one patch.")
    latency_ms: Annotated[float, Field(gt=0)] | None = Field(
        None, description="Largest latency of one patch in ms, as predicted by the study's calibration."
    )
    memory_mib: Annotated[float, Field(gt=0)] | None = Field(
        None,
        description="Largest peak memory of a training step in MiB, over that of the idle process (about 400), as "
        "predicted from the shapes.",
    )


class PromotionSettings(Settings):
    """Longer training of a search's best trials (asynchronous successive halving, Li et al. 2020)."""

    rungs: Positive = Field(
        1, description="Rungs of fidelity: on rung r a trial has trained `budget` x factor^r; 1: no promotion."
    )
    factor: Annotated[int, Field(ge=2)] = Field(
        3, description="A step promotes the best trial of a rung's best 1/factor that was not promoted yet, if any."
    )


class SearchSettings(Settings):
    """The architecture search."""

    methods: tuple[Literal["bayesian", "random"], ...] = Field(
        ("bayesian", "random"),
        description="Proposers to run, each with the same number of steps; none: the hand-made networks are compared.",
    )
    space: str = Field(
        "auto",
        description="A name in config/search_spaces, a YAML file, or `auto`: unet-small or cnn, by the task; clip or "
        "matrix where networks on clips or on connectivity are searched.",
    )
    steps: Annotated[int, Field(ge=0)] = Field(
        6, description="Steps of each method; raising it runs only the new ones."
    )
    order: Literal["strict", "arrival"] = Field(
        "strict",
        description="`strict`: proposal k knows exactly the results 0 .. k-W; `arrival`: it is made when its step "
        "starts, from every result that is there, and records them.",
    )
    window: Positive = Field(
        2,
        description="W: step k waits for result k-W, so W steps can run at once; twice the workers keeps all busy.",
    )
    initial: Positive = Field(
        4, description="Bayesian: points of the space-filling design before the surrogate takes over."
    )
    surrogate: Literal["gp", "forest"] = Field("gp", description="Bayesian: Gaussian process or random forest.")
    start: bool = Field(True, description="First trial: the nnU-Net plan of the data, scaled to the limits.")
    budget: Budget = Field(Budget(amount=160), description="Budget of one trial, until it is promoted.")
    promotion: PromotionSettings = Field(
        PromotionSettings(), description="Longer training of the best trials, in steps of the same search."
    )
    limits: LimitSettings = Field(LimitSettings(), description="Hard limits on every proposed network.")
    finalists: Positive = Field(1, description="Networks of each method that are retrained at full budget.")


class BaselineSettings(Settings):
    """Hand-made networks, with the same freedom of recipe and the same budgets."""

    names: tuple[str, ...] = Field(
        ("auto",),
        description="Registered baselines; `auto`: those of the task that are scaled to the limits; empty: none. "
        "`block-<name>` is a fixed small network with that block in every place.",
    )
    steps: Annotated[int, Field(ge=0)] = Field(
        2, description="Recipes tried for each baseline; its own recipe is the first. 0: its own, without any trial."
    )


class LargeBatchSettings(Settings):
    """What keeps large batches stable; off, and no part of a training, below the threshold."""

    threshold: Positive = Field(256, description="Smallest `training.batch_size` for which all of these hold.")
    layerwise: bool = Field(
        True,
        description="SGD becomes LARS and AdamW LAMB (You et al. 2017, 2019): the step in a layer is in proportion to "
        "the norm of its weights, the learning rate the share of it.",
    )
    warm_up: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.05, description="Share of the budget in which the learning rate rises in a line (Goyal et al. 2017)."
    )
    growth: tuple[tuple[Annotated[float, Field(ge=0, lt=1)], Annotated[float, Field(gt=0)]], ...] = Field(
        ((0.34, 2.0),),
        description="Batch-size control (Mikami et al. 2018): pairs of a share of the budget and how many times "
        "`batch_size` the batch is from there on; empty: it stays.",
    )
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = Field(
        0.1, description="Share of a label that is spread over all classes (cross-entropies only)."
    )

    @model_validator(mode="after")
    def _grows_in_order(self) -> LargeBatchSettings:
        shares = [share for share, _ in self.growth]
        if shares != sorted(set(shares)):
            raise ValueError(f"growth = {list(self.growth)} must name ascending shares of the budget")
        return self


class TrainingSettings(Settings):
    """Training of trials and finalists."""

    budget: Budget = Field(Budget(amount=400), description="Budget of one finalist or baseline, per seed.")
    seeds: Positive = Field(2, description="Seeds per finalist and baseline.")
    batch_size: Positive = Field(2, description="Global batch, whatever the number of processes.")
    patch: Literal["auto"] | Patch = Field(
        "auto", description="Patch size in voxels (x, y, z); `auto`: from the data's fingerprint."
    )
    precision: Literal["auto", "float32", "bf16", "fp16"] = Field(
        "auto",
        description="Of autocast: `auto` is bfloat16 where the processor has it in hardware, else float16 on a GPU, "
        "else float32. `fp16` scales the loss; without hardware for it (most CPUs) it is slow.",
    )
    compression: Literal["none", "fp16"] = Field(
        "none", description="Gradients between processes: as they are, or in 16 bits, which rounds them."
    )
    large_batch: LargeBatchSettings = Field(LargeBatchSettings(), description="Large batches.")
    threads: Positive = Field(1, description="Threads of each training process (part of the result's identity).")
    validations: Positive = Field(4, description="Validations in the course of one training, the last at its end.")
    patience: Annotated[int, Field(ge=0)] = Field(
        0, description="Stop after this many validations without improvement; 0: never."
    )
    foreground: Annotated[float, Field(ge=0, le=1)] = Field(
        0.33, description="Share of the patches that are centred on a labelled voxel (segmentation)."
    )
    tensorboard: bool = Field(
        False,
        description="Write event files to results/<study>/tensorboard, live; no result depends on it, so that turning "
        "it on trains nothing again.",
    )


class BenchmarkSettings(Settings):
    """The locked test and its statistics."""

    mirror: bool = Field(
        True,
        description="Average predictions over the mirrored copies that a network's recipe trained with (segmentation).",
    )
    cross_validate: bool = Field(
        False,
        description="Also score each network on the scans outside the test split, each by the seeds that did not train "
        "on it; wants `training.seeds` of at least `splits.folds`.",
    )
    nsd_tolerance_mm: Annotated[float, Field(gt=0)] = Field(
        1.0, description="Tolerance of the normalised surface distance, in mm."
    )
    measure: Literal["auto", "auc", "accuracy", "mae", "r"] = Field(
        "auto",
        description="What ranks the networks on the test: `auto` is Dice, the area under the ROC curve, or the mean "
        "absolute error; `accuracy` for many classes, `r` (correlation) for regression.",
    )
    bootstrap: Annotated[int, Field(ge=100)] = Field(5000, description="Bootstrap samples of each interval.")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = Field(0.95, description="Coverage of the intervals.")
    latency_repeats: Positive = Field(20, description="Timed repeats of a forward pass.")


class ReportSettings(Settings):
    """The page at the end."""

    title: str = Field("", description="Title of the report; empty: the study's name.")
    scans: Annotated[int, Field(ge=1, le=12)] = Field(3, description="Test scans that are drawn with their prediction.")


class NodeKind(Settings):
    """Nodes that take the same time for the same training."""

    slots: Positive = Field(1, description="Trainings that all nodes of this kind run at once.")
    seconds: Annotated[float, Field(gt=0)] | None = Field(
        None, description="`order: arrival`: predicted time of the longest trial that is proposed for these nodes."
    )
    resources: dict[str, str | int] = Field({}, description="Snakemake resources of a job there.")


class StudySettings(Settings):
    """All settings of one study."""

    study: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$")] = Field(
        "phantom", description="Name of the study; its outputs lie in results/<study>."
    )
    data_root: str = Field("", description="Folder of the data set; empty: the generated phantom.")
    task: Task = Field("segmentation", description="What the network predicts.")
    seed: Annotated[int, Field(ge=0)] = Field(0, description="The one seed from which everything random derives.")
    data: DataSettings = Field(DataSettings(), description="Reading the data.")
    preprocess: PreprocessSettings = Field(PreprocessSettings(), description="Preprocessing.")
    bold: BoldSettings = Field(BoldSettings(), description="Preprocessing of time series.")
    clips: ClipSettings = Field(ClipSettings(), description="Clips of time series.")
    splits: SplitSettings = Field(SplitSettings(), description="Splits.")
    search: SearchSettings = Field(SearchSettings(), description="Architecture search.")
    baselines: BaselineSettings = Field(BaselineSettings(), description="Hand-made networks.")
    training: TrainingSettings = Field(TrainingSettings(), description="Training.")
    benchmark: BenchmarkSettings = Field(BenchmarkSettings(), description="Benchmark.")
    report: ReportSettings = Field(ReportSettings(), description="Report.")
    container: str = Field(
        "",
        description="Image in which jobs run with `--software-deployment-method apptainer`: a file or folder, or an "
        "address such as `docker://...`; empty: envs/voxnas.sif of the project. It belongs to no result.",
    )
    placement: dict[Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*$")], NodeKind] = Field(
        {},
        description="Kinds of nodes among which trainings are placed by predicted time: `slots`, `seconds` and "
        "`resources` of each by its name (docs/cluster.md); no part of any result.",
    )
    paper: tuple[str, ...] = Field(
        ("phantom", "hippocampus", "efficiency", "efficiency-class"),
        description="`snakemake paper`: the studies (config/studies/<name>.yaml) that are published.",
    )

    @property
    def timed(self) -> bool:
        """Whether the scans are runs: series of volumes, or of an atlas's regions."""
        return self.data.suffix == "bold" or self.data.layout == "timeseries"

    @property
    def view(self) -> str:
        """What the searched networks see of a run; empty for volumes."""
        if not self.timed:
            return ""
        return self.clips.views[0] if self.clips.view == "auto" else self.clips.view

    @model_validator(mode="after")
    def _has_what_it_needs(self) -> StudySettings:
        if self.data.folder and not self.data_root:
            raise ValueError(
                f"data_root is empty, but the study reads the folder {self.data.folder!r}; "
                "give --config data_root=PATH, the folder itself or the one that holds it"
            )
        if self.timed and self.view not in self.clips.views:
            raise ValueError(f"clips.view = {self.clips.view!r} is not in clips.views = {list(self.clips.views)}")
        single = self.timed and self.clips.unit == "volume"
        if single and ("clips" not in self.clips.views or "connectivity" in self.clips.views):
            raise ValueError(
                "clips.unit = volume decodes single volumes: clips.views must have clips, and not connectivity, "
                "which is of a whole run"
            )
        fitting = {"classification": ("auto", "auc", "accuracy"), "regression": ("auto", "mae", "r")}
        if self.benchmark.measure not in fitting.get(self.task, ("auto",)):
            raise ValueError(
                f"benchmark.measure = {self.benchmark.measure!r} does not fit the task {self.task}, whose measures are "
                f"{', '.join(fitting.get(self.task, ('auto',)))}"
            )
        asked = {kind: set(node.resources) for kind, node in self.placement.items()}
        for kind, names in asked.items():
            lacking = set().union(*asked.values()) - names
            if lacking:
                raise ValueError(
                    f"placement.{kind}.resources has no {min(lacking)}, which other kinds have; name it in all "
                    "(gres: none is none)"
                )
        if not self.search.methods and not self.baselines.names:
            raise ValueError("search.methods and baselines.names are both empty; there is nothing to train")
        # Volumes have the events' trial_type, unless the study says otherwise.
        if self.task != "segmentation" and self.data_root and not self.data.target and not single:
            raise ValueError(f"data.target is empty; {self.task} needs what to predict (a column of participants.tsv)")
        return self


def needs_calibration(settings: StudySettings) -> bool:
    """Whether any decision of the study needs measured times of this device."""
    budgets = (settings.search.budget, settings.training.budget)
    limits = settings.search.limits
    limited = limits.latency_ms is not None or limits.memory_mib is not None
    return limited or any(b.unit == "cpu_seconds" for b in budgets)


def _known_keys(model: type[BaseModel], location: tuple[str | int, ...]) -> list[str]:
    """The keys of the model in which the last part of `location` stands."""
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
    """Check a configuration mapping.

    Parameters
    ----------
    raw : dict
        As read from YAML or from Snakemake's ``config``.
    source : str
        Where it came from, for the error.

    Raises
    ------
    UserError
        Names the first bad key, its value, what is allowed, and the nearest valid key.
    """
    try:
        return StudySettings.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        location = tuple(p for p in first["loc"] if not str(p).startswith(("literal[", "tuple[")))
        key = ".".join(str(p) for p in location)
        value = first.get("input")
        if first["type"] == "extra_forbidden":
            known = _known_keys(StudySettings, location)
            near = difflib.get_close_matches(str(location[-1]), known, 1)
            hint = f"did you mean {'.'.join([*map(str, location[:-1]), near[0]])!r}? " if near else ""
            raise UserError(
                f"{source}: unknown key {key!r} (value {value!r})", f"{hint}Known keys here: {', '.join(known)}"
            ) from None
        # A value that may have one of several forms fails once for each form.
        messages = [
            e["msg"].removeprefix("Value error, ") for e in error.errors() if e["loc"][: len(location)] == location
        ]
        allowed = ", or ".join(dict.fromkeys(messages))
        if not location:  # a rule about several keys, which its message names
            raise UserError(f"{source}: {allowed}", "see config/README.md") from None
        what = key if isinstance(value, dict) else f"{key} = {value!r}"
        raise UserError(f"{source}: {what} is not allowed", f"{allowed}; see config/README.md") from None
