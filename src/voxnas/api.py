"""Search, training and prediction from Python, by the verbs of the command line on the files of a study.

A study folder has the layout of the workflow (:mod:`voxnas.core.paths`), and its trainings are kept in the same store:
calls that are repeated read the stored results. Everything else of a study (locked test split, comparisons, report) is
computed by ``voxnas run``.

Examples
--------
Search, train and predict on generated scans:

>>> import voxnas
>>> study = voxnas.prepare(folder, {"data": {"phantom": {"participants": 8, "spacing": 8}}})
>>> space = voxnas.load_space("unet-small")
>>> architecture, recipe = space.decode(space.sample(0), study.plan)
>>> voxnas.cost(architecture, study.plan.patch).parameters > 0
True
>>> trials = voxnas.run_search(study, "random", steps=2, samples=8)
>>> best = max(trials, key=lambda trial: trial.scores.get("score", 0)).candidate
>>> model = voxnas.fit(study, best.architecture, best.recipe, samples=16)
>>> labels = model.predict(study.scans["image"].iloc[0])
>>> voxnas.load_model(model.folder).predict(study.scans["image"].iloc[0]).shape == labels.shape
True
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voxnas.arch.search_space import SearchSpace
from voxnas.arch.study_outline import read_space
from voxnas.complexity.analytic import Cost, analyze
from voxnas.core.architecture import Architecture, Recipe, network_key
from voxnas.core.canonical import canonical_json
from voxnas.core.errors import TRY_AGAIN, UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import VolumePlan
from voxnas.core.project import project_folder
from voxnas.core.settings import Budget, StudySettings, needs_calibration, parse_settings
from voxnas.core.spec import Spec, stage_spec
from voxnas.core.study_files import check_data_root, read_yaml
from voxnas.core.trial import Network, Result

if TYPE_CHECKING:
    import pandas as pd
    from nibabel.spatialimages import SpatialImage

    from voxnas.nn.network import Network as NetworkModule
    from voxnas.search.base import Observation

STAGES = ("index", "splits", "preprocess", "train", "evaluate")  # their specs determine the data and each training


@dataclass(frozen=True)
class Study:
    """A study whose scans are preprocessed (see :func:`prepare`).

    Attributes
    ----------
    paths : StudyPaths
        Files of the study.
    settings : StudySettings
    plan : VolumePlan
        Task, voxel size, patch and classes of the data.
    scans : DataFrame
        Indexed scans, one a row: scan, participant, image, label, ...
    """

    paths: StudyPaths
    settings: StudySettings
    plan: VolumePlan
    scans: pd.DataFrame


@dataclass(frozen=True)
class Model:
    """A trained network with all that a prediction needs.

    Attributes
    ----------
    folder : Path
        Model folder, which ``voxnas predict`` and ``voxnas export`` read, too.
    result : Result or None
        Validation score and costs of a training by :func:`fit`.
    """

    folder: Path
    result: Result | None = None

    def predict(
        self, image: str | Path | Sequence[str | Path], ensemble: bool = False
    ) -> SpatialImage | dict[str, Any]:
        """Predict one scan.

        Parameters
        ----------
        image : path or sequence of path
            File of the scan; one file for each channel, or one file with the channels last.
        ensemble : bool
            Whether to average all members of the model.

        Returns
        -------
        SpatialImage or dict
            Segmentation: label map on the grid of the scan. Otherwise ``predicted``, the class or the value, and for
            classes the probability of each.

        Raises
        ------
        ScanError
            If the scan cannot be read.
        UserError
            If the model folder is damaged, or its model reads time series.
        """
        import nibabel

        from voxnas.deploy.predict import Model as Loaded
        from voxnas.deploy.predict import read_model_plan
        from voxnas.deploy.predictor import label_map
        from voxnas.io.nifti import open_image

        if read_model_plan(self.folder).timed:
            raise UserError(f"the model in {self.folder} reads time series", f"voxnas predict --model {self.folder}")
        files = [Path(file) for file in ([image] if isinstance(image, str | Path) else image)]
        loaded = Loaded(self.folder, ensemble)
        if loaded.plan.task != "segmentation":
            return loaded.describe(files)
        probabilities, geometry = loaded.predict(files)
        return nibabel.Nifti1Image(label_map(probabilities, geometry), open_image(files[0]).affine)


def prepare(folder: str | Path, settings: str | Path | Mapping[str, Any], data_root: str | Path = "") -> Study:
    """Index, split and preprocess the scans of a study.

    Parameters
    ----------
    folder : path
        Folder of the study. A folder that was prepared with the same settings is opened and not computed again.
    settings : path or mapping
        Study file, or its content.
    data_root : path
        Folder of the data set; empty for generated scans, which the settings must ask for by ``data.phantom``.

    Raises
    ------
    UserError
        If a setting is invalid, the scans cannot be used, or the folder belongs to a study with other settings.
    """
    from voxnas.io.records import read_plan
    from voxnas.io.tables import read_table

    source = "settings" if isinstance(settings, Mapping) else str(settings)
    stated = dict(settings) if isinstance(settings, Mapping) else read_yaml(settings) or {}
    if data_root:
        stated["data_root"] = str(data_root)
    parsed, paths = parse_settings(stated, source), StudyPaths(folder)
    check_data_root(parsed, stated, source)
    if parsed.timed or needs_calibration(parsed):
        raise UserError(
            f"{source}: studies of time series, and budgets or limits that need a calibration, are no part of the "
            "Python functions",
            "run the study: voxnas run STUDY",
        )
    for stage in STAGES:
        _write_spec(paths, stage, stage_spec(parsed, stage))
    if not paths.excluded.exists():
        _preprocess(paths, parsed)
    plan = read_plan(paths.plan)
    assert isinstance(plan, VolumePlan)
    return Study(paths, parsed, plan, read_table(paths.scans, {"scan": str, "participant": str, "target": str}))


def load_space(name: str | Path) -> SearchSpace:
    """Load a search space.

    ``space.sample(seed)`` draws a configuration, and ``space.decode(configuration, study.plan)`` returns its
    architecture and recipe.

    Parameters
    ----------
    name : path
        Name of a file in ``config/search_spaces``, or a YAML file.

    Raises
    ------
    UserError
        If the file does not exist or is not a search space.
    """
    settings = parse_settings({"search": {"space": str(name)}})
    return SearchSpace.from_dict(_space(settings), str(name))


def build(architecture: Architecture) -> NetworkModule:
    """Build the PyTorch module of an architecture, with fresh weights."""
    from voxnas.nn.build import build_network

    return build_network(architecture)


def cost(architecture: Architecture, size: Sequence[int]) -> Cost:
    """Count parameters, multiply-adds and activations of a network.

    Parameters
    ----------
    architecture : Architecture
    size : sequence of int, (D, H, W)
        Voxels of the input, such as ``study.plan.patch``.
    """
    return analyze(architecture, size)


def run_search(
    study: Study, method: str = "voxnas", steps: int | None = None, samples: int | None = None
) -> tuple[Observation, ...]:
    """Search for architectures and recipes.

    More steps than in an earlier call continue its search.

    Parameters
    ----------
    study : Study
    method : str
        Strategy, such as ``voxnas`` or ``random``.
    steps : int, optional
        Number of steps; by default ``search.steps`` of the settings.
    samples : int, optional
        Budget of a trial; by default ``search.budget``.

    Returns
    -------
    tuple of Observation
        The trials in order: candidate (architecture, recipe), state, scores, costs.

    Raises
    ------
    UserError
        If the strategy is unknown or is no search of single steps, or another budget was searched before.
    """
    from voxnas.core.strategies import is_job, uses_prior
    from voxnas.io.prior import read_prior
    from voxnas.search.chain import read_chain

    settings, paths = study.settings, study.paths
    changes: dict[str, Any] = {"methods": (method,)}
    if samples is not None:
        changes["budget"] = Budget(amount=samples).model_dump()
    settings = parse_settings({**settings.model_dump(), "search": {**settings.search.model_dump(), **changes}})
    if is_job(method) or settings.search.order != "strict":
        raise UserError(f"{method!r} is no search of single steps in strict order", "run the study: voxnas run STUDY")
    space = _space(settings)
    fields: dict[str, Any] = {"name": method, "method": method, "baseline": None, "space": space}
    if uses_prior(method):
        fields["prior"] = read_prior(settings.search.prior, SearchSpace.from_dict(space, "search.space"))
    _write_spec(paths, f"search-{method}", stage_spec(settings, "search", **fields))
    count = settings.search.steps if steps is None else steps
    for step in range(count):
        files = {name: paths.step(method, step) / f"{name}.json" for name in ("proposal", "result")}
        where = ("--study", paths.root, "--search", method, "--step", step)
        if not files["proposal"].exists():
            _call(paths, "propose", *where, "--output", files["proposal"])
        if not files["result"].exists():
            _call(paths, "step", *where, "--output", files["result"])
    return read_chain(paths, method, count, count).observations()


def fit(study: Study, architecture: Architecture, recipe: Recipe, samples: int) -> Model:
    """Train a network on all folds but the first, and validate it on the first.

    Parameters
    ----------
    study : Study
    architecture : Architecture
    recipe : Recipe
        Optimizer, learning rate, loss, augmentation ..
    samples : int
        Samples to see in training.

    Raises
    ------
    UserError
        If the training fails, with the reason.
    """
    from voxnas.deploy.package import write_model
    from voxnas.io.records import read_record, write_json
    from voxnas.io.replace import replacing_folder

    paths, key = study.paths, network_key(architecture, recipe)
    network = Network(key=key, name=key, source="", architecture=architecture, recipe=recipe, samples=samples)
    record, output = paths.network(key) / "network.json", paths.seed(key, 0) / "result.json"
    write_json(record, network)
    _call(paths, "train", "--study", paths.root, "--network", record, "--seed", 0, "--output", output)
    folder = paths.root / "models" / key
    with replacing_folder(folder, "model.json") as new:
        write_model(paths, network, [0], 0, new)
    return Model(folder, read_record(output, Result))


def load_model(folder: str | Path) -> Model:
    """Open a model folder, such as ``results/STUDY/model``.

    Raises
    ------
    UserError
        If the folder is not a model folder.
    """
    from voxnas.deploy.predict import read_model_plan

    read_model_plan(folder)
    return Model(Path(folder))


def _space(settings: StudySettings) -> dict[str, Any]:
    return read_space(settings, project_folder() / "config" / "search_spaces", "load_space")


def _write_spec(paths: StudyPaths, stage: str, spec: Spec) -> None:
    """Write a spec; UserError if the folder holds results of another one."""
    from voxnas.io.records import write_text

    file, text = paths.spec(stage), canonical_json(spec.plain()) + "\n"
    if file.exists() and file.read_text() != text:
        raise UserError(f"{paths.root} holds a study with other settings ({file.name})", "choose another folder")
    write_text(file, text)


def _preprocess(paths: StudyPaths, settings: StudySettings) -> None:
    """Run the stages of ``workflow/rules/data.smk`` in their order."""
    data: str | Path = settings.data_root
    if not data:
        data = paths.root / "data"
        _call(paths, "phantom", "--spec", paths.spec("index"), "--output", data)
    index = ("--index", paths.index)
    _call(paths, "index", "--spec", paths.spec("index"), "--data", data, "--output", paths.index)
    _call(paths, "split", "--spec", paths.spec("splits"), *index, "--output", paths.splits)
    splits = ("--splits", paths.splits)
    _call(paths, "plan", "--spec", paths.spec("preprocess"), *index, *splits, "--output", paths.plan)
    shards = ("--shards", settings.preprocess.shards)
    for shard in range(settings.preprocess.shards):
        where = ("--plan", paths.plan, *index, "--shard", shard, *shards)
        _call(paths, "preprocess", *where, "--output", paths.shard(shard))
    _call(paths, "exclude", "--study", paths.root, "--output", paths.excluded)


def _call(paths: StudyPaths, verb: str, *arguments: object) -> None:
    """Run a verb of the command line, with its messages in ``logs/python.log``; its errors are raised."""
    from voxnas.cli.main import build_parser

    parsed = build_parser(verb).parse_args([verb, *map(str, arguments)])
    log = paths.root / "logs" / "python.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a") as file, redirect_stdout(file), redirect_stderr(file):
        status = import_module(f"voxnas.cli.{verb}").run(parsed)
    if status == TRY_AGAIN:
        raise KeyboardInterrupt(f"voxnas {verb}: the state of the training is saved; repeat the call to continue")
    if status:
        raise UserError(f"voxnas {verb} failed", f"see {log}")
