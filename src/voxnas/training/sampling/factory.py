"""Construction of the sampler of a view, and the time in which it reads and augments a sample."""

import time
from collections.abc import Sequence

from voxnas.core.architecture import Recipe
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.spec import CalibrateSpec
from voxnas.data.dataset import StudyData
from voxnas.training.sampling.base import Sampler
from voxnas.training.sampling.patches import PatchSampler
from voxnas.training.sampling.windows import RunSampler
from voxnas.training.targets import Targets

TIMED = 64  # samples


def make_sampler(
    data: StudyData, scans: Sequence[str], targets: Targets, seed: int, recipe: Recipe, foreground: float
) -> Sampler:
    """The sampler of a study's view, with a seed of its own; `foreground` is the setting of patches."""
    if data.timed:
        return RunSampler(data, scans, targets, seed, recipe)
    return PatchSampler(data, scans, targets, seed, recipe, foreground)


def reading_seconds(paths: StudyPaths, plan: Plan, spec: CalibrateSpec) -> dict[str, float]:
    """CPU seconds to read and augment one training sample of each view, at the default strength.

    Parameters
    ----------
    paths : StudyPaths
        A study that is preprocessed and split.
    plan : Plan
        Its plan; without views the one name is empty.
    spec : CalibrateSpec
    """
    loss = {"segmentation": "dice_ce", "classification": "ce", "regression": "mse"}[spec.task]
    recipe = Recipe.model_validate({"loss": loss})
    found = {}
    for view in plan.views or ("",):
        data = StudyData(paths, view)
        scans = data.train_scans(0)
        sampler = make_sampler(data, scans, Targets.of(data, scans), spec.seed, recipe, spec.foreground)
        for _ in range(2):  # in the second pass files are open and cached, as in most of a training
            begun = time.process_time()
            for j in range(TIMED):
                sampler.batch([j])
            found[view] = (time.process_time() - begun) / TIMED
    return found
