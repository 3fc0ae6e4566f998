"""The searches and the hand-made networks of a study, as its settings determine them."""

from pathlib import Path
from typing import Any

from voxnas.arch.baselines import BASELINES, baselines_for
from voxnas.core.errors import UserError, suggest
from voxnas.core.settings import StudySettings
from voxnas.core.strategies import is_job, search_name
from voxnas.core.study_files import read_yaml


def baseline_names(settings: StudySettings) -> tuple[str, ...]:
    """Names of the baselines of a study; ``auto`` selects the baselines of the task that are scaled to the limits."""
    names = settings.baselines.names
    if names != ("auto",):
        return names
    seen = (settings.clips.views, settings.clips.unit) if settings.timed else ()
    return tuple(name for name in baselines_for(settings.task, *seen) if BASELINES[name].scaled)


def check_baselines(settings: StudySettings, source: str) -> None:
    """Check that the baselines of a study exist; a UserError names the `source` of the settings and the key."""
    for name in baseline_names(settings):
        try:
            BASELINES[name]
        except UserError as error:
            raise UserError(f"{source}: baselines.names: {error.what}", error.remedy) from None


def read_space(settings: StudySettings, folder: Path, source: str) -> dict[str, Any]:
    """Read the search space of a study; ``auto`` selects it by the task and the view.

    Parameters
    ----------
    settings : StudySettings
    folder : Path
        Folder of the spaces that are named without their path (config/search_spaces).
    source : str
        Source of the settings, for the message.

    Raises
    ------
    UserError
        If the file cannot be read.
    """
    name = settings.search.space
    if name == "auto":
        volumes = "unet-small" if settings.task == "segmentation" else "cnn"
        name = {"clips": "clip", "connectivity": "matrix"}.get(settings.view, volumes)
    path = Path(name) if name.endswith((".yaml", ".yml")) else folder / f"{name}.yaml"
    try:
        space: dict[str, Any] = read_yaml(path)
    except UserError as error:
        known = (p.stem for p in folder.glob("*.yaml"))
        raise UserError(f"{source}: search.space = {name!r}: {error.what}", suggest(name, known)) from None
    return space


def baseline_steps(settings: StudySettings) -> int:
    """Steps of the recipe search of a baseline."""
    steps = settings.baselines.steps
    return settings.search.steps if steps == "auto" else steps


def direct_baselines(settings: StudySettings) -> list[str]:
    """Names of the baselines that are trained with their own recipe only."""
    return [name for name in baseline_names(settings) if BASELINES[name].fitted or not baseline_steps(settings)]


def searches_of(settings: StudySettings) -> dict[str, int | None]:
    """Steps of each search of a study: the methods, and the recipes of each baseline that has several.

    None: the search is a single job, whose number of networks is not known in advance.
    """
    methods, steps = settings.search.methods, settings.search.steps
    searches: dict[str, int | None] = {
        search_name(method, run): None if is_job(method) else steps
        for run in range(settings.search.seeds)
        for method in methods
    }
    direct = direct_baselines(settings)
    for name in baseline_names(settings):
        if name not in direct:
            searches[f"baseline-{name}"] = baseline_steps(settings)
    return searches


def has_spatial_steps(settings: StudySettings) -> bool:
    """Whether the study has raw runs that must be registered to one space."""
    raw = settings.data.layout != "timeseries" and not settings.data.images
    return settings.timed and raw and bool(settings.bold.spatial)


def final_networks(settings: StudySettings) -> int:
    """Number of networks trained at full budget, without the per-frame networks that are derived from the finalists."""
    search = settings.search
    return len(search.methods) * search.seeds * search.finalists + len(baseline_names(settings))
