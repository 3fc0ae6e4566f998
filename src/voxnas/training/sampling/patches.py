"""The patch of each sample of a training: a pure function of (seed, j).

Process r of n takes its slice of each global batch, so the batches do not depend on n.
"""

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from voxnas.core.architecture import MIRROR_AXES, Recipe
from voxnas.data.dataset import StudyData
from voxnas.data.transforms import Augmentation
from voxnas.training.sampling.base import Sampler
from voxnas.training.targets import Targets

FARTHEST = 8  # a patch is translated by at most this part of its sides, so 1/8


def crop_or_pad(array: Tensor, start: Sequence[int], size: Sequence[int]) -> Tensor:
    """Extract a box from the last three axes of an array; voxels outside the array are 0.

    Parameters
    ----------
    array : Tensor, (..., D, H, W)
    start : 3 ints
        First voxel of the box; may be negative.
    size : 3 ints
        Size (d, h, w) of the box.

    Returns
    -------
    Tensor, (..., d, h, w)
    """
    padding: list[int] = []
    for axis, (first, length) in enumerate(zip(start, size, strict=True), start=array.ndim - 3):
        low, high = max(first, 0), min(first + length, array.shape[axis])
        array = array.narrow(axis, low, max(high - low, 0))
        padding = [low - first, first + length - high, *padding]
    return F.pad(array, padding) if any(padding) else array


def centred_start(shape: Sequence[int], size: Sequence[int]) -> list[int]:
    """Start of the centred box of a given `size` in a volume of a `shape`; negative if the box is larger."""
    return [(n - p) // 2 for n, p in zip(shape, size, strict=True)]


class PatchSampler(Sampler):
    """Sampler of augmented patches.

    Parameters
    ----------
    data : StudyData
        Preprocessed scans; the training scans are kept in memory.
    scans : sequence of str
        The training scans.
    targets : Targets
        Coding of the targets.
    seed : int
        Seed of all random draws.
    recipe : Recipe
        Source of the strengths of augmentation and the axes of mirroring.
    foreground : float
        Share of the patches that are centred on a labelled voxel (segmentation): a random voxel of a random label of
        the scan (as in nnU-Net), so that rare labels are as frequent as large ones.
    """

    def __init__(
        self, data: StudyData, scans: Sequence[str], targets: Targets, seed: int, recipe: Recipe, foreground: float
    ) -> None:
        plan = data.plan
        super().__init__(seed, len(scans))
        self.scans = list(scans)
        self.patch = plan.patch
        self.foreground = foreground
        self.targets = targets
        self.segments = targets.task == "segmentation"
        room = [n // FARTHEST for n in plan.patch]
        self.augmentation = Augmentation(
            recipe.spatial, recipe.intensity, MIRROR_AXES[recipe.mirror], plan.spacing_dhw, room, recipe.deformation
        )
        self._images = {scan: data.image(scan) for scan in self.scans}
        self._labels = {scan: data.label(scan) for scan in self.scans} if self.segments else {}
        self._values = {} if self.segments else {scan: targets.encode(data.target(scan)) for scan in self.scans}
        self._labelled: dict[str, list[Tensor]] = {}

    def scan_of(self, sample: int) -> str:
        """Scan of `sample` j; each epoch is a permutation of the scans."""
        return self.scans[self.position(sample)]

    def _start(self, scan: str, rng: np.random.Generator) -> list[int]:
        """First voxel of the patch: random, around a labelled voxel, or centred along axes with a larger patch."""
        shape = self._images[scan].shape[1:]
        start = centred_start(shape, self.patch)
        room = [max(n - p, 0) for n, p in zip(shape, self.patch, strict=True)]
        draws = [int(rng.integers(r + 1)) for r in room]
        centre: list[int] | None = None
        if self.segments and rng.random() < self.foreground and any(room):
            if scan not in self._labelled:
                self._labelled[scan] = _voxels_of_labels(self._labels[scan])
            if labels := self._labelled[scan]:
                voxels = labels[int(rng.integers(len(labels)))]
                centre = voxels[int(rng.integers(len(voxels)))].tolist()
        for axis in range(3):
            if room[axis]:
                wanted = draws[axis] if centre is None else centre[axis] - self.patch[axis] // 2
                start[axis] = min(max(wanted, 0), room[axis])
        return start

    def sample(self, sample: int) -> tuple[Tensor, Tensor]:
        """Return the image (C, D, H, W) and the target (label map (D, H, W), class or value) of `sample` j."""
        scan = self.scan_of(sample)
        rng = np.random.default_rng([self.seed, sample])
        start = self._start(scan, rng)
        image = crop_or_pad(self._images[scan], start, self.patch)
        label = crop_or_pad(self._labels[scan], start, self.patch) if self.segments else None
        image, label = self.augmentation.draw(rng)(image, label)
        return image, self._values[scan] if label is None else label.long()


def _voxels_of_labels(label: Tensor) -> list[Tensor]:
    """Voxels (N, 3) of each label of a label map (D, H, W) except the background."""
    voxels = label.nonzero().to(torch.int32)
    values = label[label > 0]
    return [voxels[values == value] for value in values.unique()]
