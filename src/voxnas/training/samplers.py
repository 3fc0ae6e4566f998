"""Which sampler the networks of a view have, and what a sample of it costs before a network sees it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from voxnas.core.architecture import Recipe
from voxnas.core.paths import StudyPaths
from voxnas.data.dataset import StudyData
from voxnas.training.order import Sampler
from voxnas.training.runs import RunSampler
from voxnas.training.sampler import PatchSampler
from voxnas.training.targets import Targets

WARM_UP, TIMED = 8, 64  # samples


def make_sampler(
    data: StudyData, scans: Sequence[str], targets: Targets, seed: int, recipe: Recipe, foreground: float
) -> Sampler:
    """The sampler of a study's view; `foreground` is the setting of that name, of patches alone."""
    if data.timed:
        return RunSampler(data, scans, targets, seed, recipe)
    return PatchSampler(data, scans, targets, seed, recipe, foreground)


def sample_seconds(paths: StudyPaths, view: str, task: str, foreground: float, seed: int) -> float:
    """CPU seconds in which one training sample of a view is read and augmented, at the usual strength.

    Parameters
    ----------
    paths : StudyPaths
        A study that is preprocessed and split.
    view : str
        View of the runs; empty: the scans themselves.
    task, foreground, seed
        Of the settings.
    """
    data = StudyData(paths, view)
    scans = data.train_scans(0)
    loss = {"segmentation": "dice_ce", "classification": "ce", "regression": "mse"}[task]
    recipe = Recipe.model_validate({"loss": loss})
    sampler = make_sampler(data, scans, Targets.of(data, scans), seed, recipe, foreground)
    for j in range(WARM_UP):
        sampler.batch([j])
    begun = time.process_time()
    for j in range(WARM_UP, WARM_UP + TIMED):
        sampler.batch([j])
    return (time.process_time() - begun) / TIMED
