"""Random transforms of a window of a run, each drawn as a deterministic twin that can be replayed.

The twins have the protocol of :mod:`voxnas.data.transforms`, whose mirroring, brightness and noise apply to windows
too. A window has no label; it is a clip (T, C, D, H, W) or series (T, R), standardised over the run. The transforms
imitate the differences between runs of one person: amplitude of the response, scanner drift (cosines below 0.01 Hz are
slower than a window, so half a period and up), thermal noise, volumes lost to motion, and misalignment by whole voxels.
Masking an interval of time follows SpecAugment (Park et al. 2019, Interspeech, section 2).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from voxnas.data.transforms import Brightness, Mirror, Noise, Pair, Replay, Translate, Twin


@dataclass(frozen=True)
class Drift:
    """Add half-periods of a cosine over the window, equal in all voxels; `amplitudes` of 1, 2, .. half-periods."""

    amplitudes: tuple[float, ...]

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Add the drift."""
        times = (torch.arange(len(image)) + 0.5) * (math.pi / len(image))
        drift = torch.stack([a * torch.cos((k + 1) * times) for k, a in enumerate(self.amplitudes)]).sum(0)
        return image + drift.view(-1, *[1] * (image.ndim - 1)).to(image.dtype), label


@dataclass(frozen=True)
class Hold:
    """Replace the given volumes, in ascending order, by their predecessors."""

    volumes: tuple[int, ...]

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Repeat the predecessors."""
        order = torch.arange(len(image))
        for volume in self.volumes:
            order[volume] = order[volume - 1]
        return image[order], label


@dataclass(frozen=True)
class Silence:
    """Set the volumes `start` .. ``start + length - 1`` to 0, the mean of a standardised run."""

    start: int
    length: int

    def __call__(self, image: Tensor, label: Tensor | None) -> Pair:
        """Mask the interval."""
        masked = image.clone()
        masked[self.start : self.start + self.length] = 0
        return masked, label


class WindowAugmentation:
    """Draws the transforms of one window.

    Parameters
    ----------
    spatial, intensity : float
        In [0, 1]; factors of the probability of a translation, and of all other transforms except mirroring. The
        ranges are fixed.
    mirror_axes : sequence of int
        Axes of (D, H, W) that may be flipped, each with probability 1/2; empty for series.
    frames : int
        Volumes T of a window.
    room : 3 ints
        Largest translation along (D, H, W) in voxels; 0 for series and axes of length 1.
    """

    def __init__(
        self, spatial: float, intensity: float, mirror_axes: Sequence[int], frames: int, room: Sequence[int]
    ) -> None:
        self.spatial, self.intensity = spatial, intensity
        self.mirror_axes, self.frames = tuple(mirror_axes), frames
        self.room = tuple(int(n) for n in room)

    def draw(self, rng: np.random.Generator) -> Replay:
        """Draw the twins of one window; equal generators give equal twins."""

        def happens(probability: float) -> bool:
            return rng.random() < probability * self.intensity

        twins: list[Twin] = []
        if axes := tuple(a for a in self.mirror_axes if rng.random() < 0.5):
            twins.append(Mirror(axes))
        if any(self.room) and rng.random() < 0.5 * self.spatial:
            d, h, w = (int(rng.integers(-n, n + 1)) for n in self.room)
            twins.append(Translate((d, h, w)))
        if happens(0.3):
            twins.append(Brightness(float(math.exp(rng.uniform(-0.3, 0.3)))))
        if self.frames > 1 and happens(0.3):
            twins.append(Drift(tuple(float(rng.normal(0, 0.2)) for _ in range(2))))
        if happens(0.5):
            twins.append(Noise(float(rng.uniform(0, 0.5)), int(rng.integers(2**31))))
        if self.frames > 2 and happens(0.3):
            lost = np.flatnonzero(rng.random(self.frames - 1) < 0.1) + 1
            twins.append(Hold(tuple(int(volume) for volume in lost)))
        if self.frames > 4 and happens(0.3):
            length = int(rng.integers(1, max(2, round(0.25 * self.frames)) + 1))
            twins.append(Silence(int(rng.integers(self.frames - length + 1)), length))
        return Replay(tuple(twins))
