"""What a study consists of, as far as its settings say: its searches, and the hand-made networks in it."""

from voxnas.arch.baselines import BASELINES, baselines_for
from voxnas.core.settings import StudySettings
from voxnas.core.strategies import is_job


def baseline_names(settings: StudySettings) -> tuple[str, ...]:
    """Hand-made networks that take part; ``auto`` stands for those of the task that are scaled to the limits."""
    names = settings.baselines.names
    if names != ("auto",):
        return names
    seen = (settings.clips.views, settings.clips.unit) if settings.timed else ()
    return tuple(name for name in baselines_for(settings.task, *seen) if BASELINES[name].scaled)


def direct_baselines(settings: StudySettings) -> list[str]:
    """Baselines that are trained with their own recipe alone."""
    return [name for name in baseline_names(settings) if BASELINES[name].fitted or not settings.baselines.steps]


def searches_of(settings: StudySettings) -> dict[str, int | None]:
    """Steps of each search of a study: the methods, and the recipes of each baseline that has several.

    None: the search is a single job, and finds as many networks as it does.
    """
    methods, steps = settings.search.methods, settings.search.steps
    searches: dict[str, int | None] = {name: None if is_job(name) else steps for name in methods}
    direct = direct_baselines(settings)
    for name in baseline_names(settings):
        if name not in direct:
            searches[f"baseline-{name}"] = settings.baselines.steps
    return searches


def has_spatial_steps(settings: StudySettings) -> bool:
    """Whether there are raw runs that have to be brought to one space."""
    raw = settings.data.layout != "timeseries" and not settings.data.images
    return settings.timed and raw and bool(settings.bold.spatial)


def final_networks(settings: StudySettings) -> int:
    """How many networks will be trained at full budget, without the per-frame twins, which a search must find first."""
    return len(settings.search.methods) * settings.search.finalists + len(baseline_names(settings))
