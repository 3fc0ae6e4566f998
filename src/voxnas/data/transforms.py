"""Random transforms of one patch, each drawn as a deterministic twin that can be replayed.

:meth:`Augmentation.draw` returns frozen records of the drawn parameters, and the records transform the patch. The
records alone reproduce the patch (as in TorchIO, Pérez-García et al. 2021). Kinds, ranges and probabilities at full
strength, and the order (space, noise, blur, brightness, contrast, low resolution, gamma), are those of version 2 of
nnU-Net (Isensee et al. 2021; ``nnUNetTrainer.get_training_transforms``), with three differences:

- The image is mirrored first instead of last, and all channels are transformed alike. nnU-Net blurs each channel, and
  lowers its resolution, with probability 1/2 within the given probability; here both have half the probability.
- A patch is resampled within itself, whereas nnU-Net resamples a larger region and crops it to the patch.
- A patch is translated. In nnU-Net foreground patches may exceed the upper borders of the volume, which translates the
  content of a patch that is as large as the volume.

`elastic` deformation replaces nnU-Net's spatial transforms by one resampling of gentler ranges with an elastic field
(Ronneberger et al. 2015), which may apply to each patch without wearing the image out.

All twins take ``image : Tensor, (C, D, H, W)`` and ``label : Tensor, (D, H, W)`` or None.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[Tensor, Tensor | None]
Triple = tuple[float, float, float]

CONTROL = 10  # voxels between the control points of an elastic field
INDICATORS = 8  # most labels that are resampled one by one


class Twin(Protocol):
    """A transform with all its parameters fixed."""

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Transform a patch; the input is not changed."""


@dataclass(frozen=True)
class Mirror:
    """Flip the given axes of (D, H, W)."""

    axes: tuple[int, ...]

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Flip image and label."""
        axes = [a - 3 for a in self.axes]
        return image.flip(axes), None if label is None else label.flip(axes)


@dataclass(frozen=True)
class Resample:
    """Rotate and scale about the centre, translate and bend, with a single resampling.

    Parameters
    ----------
    angles : 3 floats
        Rotation about the axes D, H, W in radians.
    scales : 3 floats
        Magnification along D, H, W.
    spacing : 3 floats
        Voxel size along D, H, W in mm: the rotation is rigid in space, not in the grid.
    shift : 3 floats
        Translation along D, H, W in voxels.
    bend : float
        Standard deviation in voxels of the displacements at the control points of an elastic field, one point per
        `CONTROL` voxels, drawn from `seed`; 0: no field.
    seed : int
    replicate : bool
        Whether voxels from outside have the value of the nearest voxel inside; otherwise 0.
    """

    angles: Triple
    scales: Triple
    spacing: Triple = (1.0, 1.0, 1.0)
    shift: Triple = (0.0, 0.0, 0.0)
    bend: float = 0.0
    seed: int = 0
    replicate: bool = False

    def matrix(self) -> np.ndarray:
        """Return the map of voxel offsets from the centre, output to input, (3, 3), axes (D, H, W)."""
        rotation = np.eye(3)
        for axis, angle in enumerate(self.angles):
            a, b = [i for i in range(3) if i != axis]
            turn = np.eye(3)
            turn[a, a] = turn[b, b] = math.cos(angle)
            turn[a, b], turn[b, a] = -math.sin(angle), math.sin(angle)
            rotation = rotation @ turn
        spacing = np.asarray(self.spacing)
        return (rotation * spacing[None, :] / spacing[:, None]) / np.asarray(self.scales)[None, :]

    def grid(self, shape: Sequence[int]) -> Tensor:
        """Positions to sample, (1, D, H, W, 3), in the coordinates of ``grid_sample`` without aligned corners."""
        # The unit of grid_sample is half the size of an axis; its coordinates are in the order (W, H, D).
        size = np.asarray(shape, dtype=float)
        linear = (self.matrix() * size[None, :] / size[:, None])[::-1, ::-1]
        offset = (self.matrix() @ -np.asarray(self.shift) * 2 / size)[::-1, None]
        theta = torch.from_numpy(np.concatenate([linear, offset], axis=1).astype(np.float32))
        grid = F.affine_grid(theta[None], [1, 1, *shape], align_corners=False)
        if self.bend:
            generator = torch.Generator().manual_seed(self.seed)
            points = torch.randn([1, 3, *(max(2, round(n / CONTROL)) for n in shape)], generator=generator)
            field = F.interpolate(points, tuple(shape), mode="trilinear", align_corners=True).movedim(1, -1)
            grid = grid + field * torch.from_numpy((2 * self.bend / size[::-1]).astype(np.float32))
        return grid

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Resample the image linearly, and each label as its indicator; the largest indicator wins.

        Beyond `INDICATORS` labels in a patch the label map is resampled by the nearest neighbour.
        """
        grid = self.grid(image.shape[1:])
        outside = "border" if self.replicate else "zeros"

        def sampled(values: Tensor, mode: str = "bilinear") -> Tensor:
            return F.grid_sample(values[None], grid, mode=mode, padding_mode=outside, align_corners=False)[0]

        if label is None:
            return sampled(image), None
        present = label.unique()
        if len(present) > INDICATORS:
            return sampled(image), sampled(label[None].to(torch.float32), "nearest")[0].to(label.dtype)
        # The background, which also lies outside, comes first; it needs no indicator.
        present = present[present > 0]
        indicators = (label == present.view(-1, 1, 1, 1)).to(image.dtype)
        moved, shares = sampled(torch.cat([image, indicators])).split([len(image), len(present)])
        background = 1 - shares.sum(0, keepdim=True)
        values = torch.cat([label.new_zeros(1), present])
        return moved, values[torch.cat([background, shares]).argmax(0)]


@dataclass(frozen=True)
class Translate:
    """Translate by whole voxels along (D, H, W); voxels from outside are 0."""

    voxels: tuple[int, int, int]

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Translate image and label."""
        padding = [pad for shift in reversed(self.voxels) for pad in (shift, -shift)]
        return F.pad(image, padding), None if label is None else F.pad(label, padding)


@dataclass(frozen=True)
class Noise:
    """Add Gaussian noise of standard deviation `sd`, drawn from `seed`."""

    sd: float
    seed: int

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Add the noise to the image."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(image.shape, generator=generator).mul_(self.sd).add_(image), label


@dataclass(frozen=True)
class Blur:
    """Smooth with a Gaussian of standard deviation `sigma` voxels."""

    sigma: float

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Smooth the image, one axis after another."""
        radius = max(1, math.ceil(2.5 * self.sigma))
        offsets = torch.arange(-radius, radius + 1, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (offsets / self.sigma) ** 2)
        weights = (kernel / kernel.sum()).tolist()
        for axis in (1, 2, 3):
            size = image.shape[axis]
            index = torch.arange(-radius, size + radius).clamp_(0, size - 1)
            padded = image.index_select(axis, index)
            smooth = padded.narrow(axis, 0, size) * weights[0]
            for shift in range(1, 2 * radius + 1):
                smooth.add_(padded.narrow(axis, shift, size), alpha=weights[shift])
            image = smooth
        return image, label


@dataclass(frozen=True)
class Brightness:
    """Multiply all intensities by `factor`."""

    factor: float

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Scale the image."""
        return image * self.factor, label


@dataclass(frozen=True)
class Contrast:
    """Scale the intensities about their mean by `factor`, clipped to the original range."""

    factor: float

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Scale the image, channel by channel."""
        flat = image.flatten(1)
        mean = flat.mean(1, keepdim=True)
        low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
        stretched = (flat - mean).mul_(self.factor).add_(mean)
        return torch.minimum(torch.maximum(stretched, low), high).view_as(image), label


@dataclass(frozen=True)
class LowResolution:
    """Downsample by `zoom` (nearest neighbour) and upsample again (linear)."""

    zoom: float

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Lower the resolution of the image."""
        size = image.shape[1:]
        small = [max(1, round(s * self.zoom)) for s in size]
        coarse = F.interpolate(image[None], size=small, mode="nearest-exact")
        return F.interpolate(coarse, size=tuple(size), mode="trilinear", align_corners=False)[0], label


@dataclass(frozen=True)
class Gamma:
    """Raise the intensities, scaled to [0, 1], to the power `gamma`; mean and standard deviation are kept."""

    gamma: float
    invert: bool = False

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Apply the power to the image, channel by channel."""
        flat = -image.flatten(1) if self.invert else image.flatten(1)
        sd, mean = torch.std_mean(flat, dim=1, keepdim=True)
        low = flat.amin(1, keepdim=True)
        extent = (flat.amax(1, keepdim=True) - low).clamp_min_(1e-7)
        bent = (flat - low).div_(extent).clamp_min_(1e-7).pow_(self.gamma)
        bent_sd, bent_mean = torch.std_mean(bent, dim=1, keepdim=True)
        bent.sub_(bent_mean).mul_(sd / bent_sd.clamp_min(1e-7)).add_(mean)
        return (-bent if self.invert else bent).view_as(image), label


@dataclass(frozen=True)
class Replay:
    """A drawn sequence of twins."""

    twins: tuple[Twin, ...]

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Apply the twins one after another."""
        for twin in self.twins:
            image, label = twin(image, label)
        return image, label


class Augmentation:
    """Draws the transforms of one patch.

    Parameters
    ----------
    spatial : float
        In [0, 1]; probability of spatial transforms. ``affine``: factor of nnU-Net's probabilities of rotation and
        scaling, and of a translation. ``elastic``: probability of a resampling with all of them in gentler ranges and,
        in half of the cases, an elastic field.
    intensity : float
        In [0, 1]; factor of nnU-Net's probabilities of all other transforms except mirroring. The ranges are fixed.
    mirror_axes : sequence of int
        Axes of (D, H, W) that may be flipped, each with probability 1/2.
    spacing : 3 floats
        Voxel size along (D, H, W) in mm.
    room : 3 ints
        Largest translation along (D, H, W) in voxels.
    deformation : str
        ``affine`` or ``elastic``.
    """

    def __init__(
        self,
        spatial: float,
        intensity: float,
        mirror_axes: Sequence[int] = (),
        spacing: Sequence[float] = (1.0, 1.0, 1.0),
        room: Sequence[int] = (0, 0, 0),
        deformation: str = "affine",
    ) -> None:
        for name, strength in (("spatial", spatial), ("intensity", intensity)):
            if not 0 <= strength <= 1:
                raise ValueError(f"{name} {strength} is not in [0, 1]")
        self.spatial, self.intensity, self.deformation = spatial, intensity, deformation
        self.mirror_axes = tuple(mirror_axes)
        self.spacing = (float(spacing[0]), float(spacing[1]), float(spacing[2]))
        self.room = tuple(int(n) for n in room)

    def draw(self, rng: np.random.Generator) -> Replay:
        """Draw the twins of one patch; equal generators give equal twins."""

        def happens(probability: float) -> bool:
            return rng.random() < probability * self.intensity

        def factor(low: float, high: float) -> float:
            # Below and above 1 with equal probability.
            return float(rng.uniform(low, 1) if rng.random() < 0.5 else rng.uniform(1, high))

        twins: list[Twin] = []
        if axes := tuple(a for a in self.mirror_axes if rng.random() < 0.5):
            twins.append(Mirror(axes))
        twins += self._elastic(rng) if self.deformation == "elastic" else self._affine(rng)
        if happens(0.1):
            twins.append(Noise(math.sqrt(rng.uniform(0, 0.1)), int(rng.integers(2**31))))
        if happens(0.1):
            twins.append(Blur(float(rng.uniform(0.5, 1))))
        if happens(0.15):
            twins.append(Brightness(factor(0.75, 1.25)))
        if happens(0.15):
            twins.append(Contrast(factor(0.75, 1.25)))
        if happens(0.125):
            twins.append(LowResolution(float(rng.uniform(0.5, 1))))
        if happens(0.1):
            twins.append(Gamma(factor(0.7, 1.5), invert=True))
        if happens(0.3):
            twins.append(Gamma(factor(0.7, 1.5)))
        return Replay(tuple(twins))

    def _affine(self, rng: np.random.Generator) -> list[Twin]:
        """Translation, rotation and scaling, each by itself, in nnU-Net's ranges."""
        twins: list[Twin] = []
        moves, turns, scales = (rng.random() < 0.2 * self.spatial for _ in range(3))
        if any(self.room) and moves:
            d, h, w = (int(rng.integers(-n, n + 1)) for n in self.room)
            twins.append(Translate((d, h, w)))
        if turns or scales:
            limit = math.radians(30) if turns else 0.0
            size = 1 / float(rng.uniform(0.7, 1.4)) if scales else 1.0
            twins.append(Resample(_triple(rng, limit), (size, size, size), self.spacing))
        return twins

    def _elastic(self, rng: np.random.Generator) -> list[Twin]:
        """One resampling with rotation, scaling, stretching, translation and, in half of the cases, a field."""
        if rng.random() >= self.spatial:
            return []
        size = math.exp(rng.uniform(-0.22, 0.22))
        d, h, w = (size * (1 + stretch) for stretch in _triple(rng, 0.08))
        z, y, x = (step * room for step, room in zip(_triple(rng, 0.5), self.room, strict=True))
        bend = float(rng.uniform(0, 0.8)) if rng.random() < 0.5 else 0.0
        seed = int(rng.integers(2**31))
        angles = _triple(rng, math.radians(15))
        return [Resample(angles, (d, h, w), self.spacing, (z, y, x), bend, seed, replicate=True)]


def _triple(rng: np.random.Generator, limit: float) -> Triple:
    """Three independent uniform draws from [-limit, limit]."""
    a, b, c = (float(value) for value in rng.uniform(-limit, limit, 3))
    return a, b, c
