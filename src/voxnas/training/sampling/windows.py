"""The window of each sample of a training on runs: a pure function of (seed, j).

Each labelled volume is a sample. If runs have the targets, an epoch is a permutation of the runs, and each sample is a
random window of its run; for correlations the window is the part of the run over which they are computed.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from voxnas.core.architecture import MIRROR_AXES, Recipe
from voxnas.core.plan import RunPlan
from voxnas.data.dataset import StudyData
from voxnas.data.samples import WINDOWED, Sample
from voxnas.data.time_transforms import WindowAugmentation
from voxnas.data.transforms import Augmentation
from voxnas.training.sampling.base import Sampler
from voxnas.training.sampling.patches import centred_start, crop_or_pad
from voxnas.training.targets import Targets

FARTHEST = 1 / 16  # largest shift of a volume, as a share of an axis


class RunSampler(Sampler):
    """Sampler of augmented windows of runs.

    Parameters
    ----------
    data : StudyData
        Data of a view.
    scans : sequence of str
        The training runs.
    targets : Targets
        Coding of the targets.
    seed : int
        Seed of all random draws.
    recipe : Recipe
        Source of the strengths of augmentation and the axes of mirroring.
    """

    def __init__(self, data: StudyData, scans: Sequence[str], targets: Targets, seed: int, recipe: Recipe) -> None:
        assert isinstance(data.plan, RunPlan)
        self.data, self.plan = data, data.plan
        self.drawn = data.plan.unit != "volume"  # where in the run a sample lies
        samples = data.samples(scans)
        self.samples = list({s.scan: s for s in samples}.values()) if self.drawn else samples
        super().__init__(seed, len(self.samples))
        self._values = {target: targets.encode(target) for target in {s.target for s in self.samples}}
        self.patch = data.plan.patch
        spatial = data.view in ("clips", "maps")
        axes = MIRROR_AXES[recipe.mirror] if spatial else ()
        room = [int(n * FARTHEST) if spatial else 0 for n in self.patch]
        if data.view in WINDOWED:
            frames = data.plan.clip.frames
            self._windows = WindowAugmentation(recipe.spatial, recipe.intensity, axes, frames, room)
        strengths = (recipe.spatial, recipe.intensity) if spatial else (0.0, 0.0)
        self._volumes = Augmentation(*strengths, axes, data.plan.spacing_dhw, room, recipe.deformation)
        self.strength = recipe.intensity

    def scan_of(self, sample: int) -> str:
        """Run of `sample` j."""
        return self.samples[self.position(sample)].scan

    def sample(self, sample: int) -> tuple[Tensor, Tensor]:
        """Return the input of the network and the class or value of the target of `sample` j."""
        chosen = self.samples[self.position(sample)]
        rng = np.random.default_rng([self.seed, sample])
        view = self.data.view
        if view in WINDOWED and self.drawn:
            last = max(self.data.frames(chosen.scan) - self.plan.clip.span, 0)
            chosen = replace(chosen, start=int(rng.integers(last + 1)))
        if view == "connectivity" and rng.random() < self.strength:
            x = self._correlations(chosen, rng)
        else:
            x = self.data.input(chosen)
            if view == "clips":
                x, _ = self._windows.draw(rng)(x, None)
            elif view == "series":
                x = self._windows.draw(rng)(x.movedim(-1, 0), None)[0].movedim(0, -1)
            elif view == "maps":
                x, _ = self._volumes.draw(rng)(x, None)
        x = crop_or_pad(x, centred_start(x.shape[-3:], self.patch), self.patch)
        return x, self._values[chosen.target]

    def _correlations(self, sample: Sample, rng: np.random.Generator) -> Tensor:
        """Correlations over a random part of the run, at least half of it."""
        from voxnas.data.fmri.views import correlations

        series = self.data.series(sample.scan)
        length = round(len(series) * float(rng.uniform(0.5, 1)))
        start = int(rng.integers(len(series) - length + 1))
        return torch.from_numpy(correlations(series[start : start + length]))[None, None]
