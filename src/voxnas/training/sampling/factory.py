"""Construction of the sampler of a view."""

from collections.abc import Sequence

from voxnas.core.architecture import Recipe
from voxnas.data.dataset import StudyData
from voxnas.training.sampling.base import Sampler
from voxnas.training.sampling.patches import PatchSampler
from voxnas.training.sampling.windows import RunSampler
from voxnas.training.targets import Targets


def make_sampler(
    data: StudyData, scans: Sequence[str], targets: Targets, seed: int, recipe: Recipe, foreground: float
) -> Sampler:
    """The sampler of a study's view, with a seed of its own; `foreground` is the setting of patches."""
    if data.timed:
        return RunSampler(data, scans, targets, seed, recipe)
    return PatchSampler(data, scans, targets, seed, recipe, foreground)
