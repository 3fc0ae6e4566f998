"""Random changes of one window of a run, each drawn as a deterministic twin that can be replayed.

As in :mod:`voxnas.data.transforms` a random transform only draws. The twins work on ``window : Tensor, (T, ...)``: a
clip (T, C, D, H, W) or series (T, R), standardised over the run. What they imitate is what differs between runs of one
person: strength of the response, drifts of the scanner (cosines below 0.01 Hz are slower than a window, so half a
period and up), thermal noise, volumes lost to motion, and alignment by whole voxels. Masking a stretch of time
is SpecAugment's (Park et al. 2019, Interspeech, section 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


class WindowTwin(Protocol):
    """A transform with all its parameters fixed."""

    def __call__(self, window: Tensor) -> Tensor:
        """Transform a window, (T, ...); the input stays as it is."""


@dataclass(frozen=True)
class Flip:
    """Flip the axes (D, H, W) of every volume that are named."""

    axes: tuple[int, ...]

    def __call__(self, window: Tensor) -> Tensor:
        """Flip the window in space."""
        return window.flip([axis - 3 for axis in self.axes])


@dataclass(frozen=True)
class Translate:
    """Move every volume by whole voxels along (D, H, W); what comes in is 0."""

    voxels: tuple[int, int, int]

    def __call__(self, window: Tensor) -> Tensor:
        """Move the window in space."""
        padding = [pad for shift in reversed(self.voxels) for pad in (shift, -shift)]
        return F.pad(window, padding)


@dataclass(frozen=True)
class Amplify:
    """Multiply by `factor`."""

    factor: float

    def __call__(self, window: Tensor) -> Tensor:
        """Scale the window."""
        return window * self.factor


@dataclass(frozen=True)
class Drift:
    """Add half-periods of a cosine over the window, the same everywhere, `amplitudes` of 1, 2, .. half-periods."""

    amplitudes: tuple[float, ...]

    def __call__(self, window: Tensor) -> Tensor:
        """Add the drift."""
        times = (torch.arange(len(window)) + 0.5) * (math.pi / len(window))
        drift = torch.stack([a * torch.cos((k + 1) * times) for k, a in enumerate(self.amplitudes)]).sum(0)
        return window + drift.view(-1, *[1] * (window.ndim - 1)).to(window.dtype)


@dataclass(frozen=True)
class Grain:
    """Add Gaussian noise of standard deviation `sd`, drawn from `seed`."""

    sd: float
    seed: int

    def __call__(self, window: Tensor) -> Tensor:
        """Add the noise."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(window.shape, generator=generator).mul_(self.sd).add_(window)


@dataclass(frozen=True)
class Hold:
    """Replace the named volumes, in ascending order, by the one before them."""

    volumes: tuple[int, ...]

    def __call__(self, window: Tensor) -> Tensor:
        """Hold the volumes."""
        order = torch.arange(len(window))
        for volume in self.volumes:
            order[volume] = order[volume - 1]
        return window[order]


@dataclass(frozen=True)
class Silence:
    """Set the volumes `start` .. ``start + length - 1`` to 0, the mean of a standardised run."""

    start: int
    length: int

    def __call__(self, window: Tensor) -> Tensor:
        """Mask the stretch."""
        masked = window.clone()
        masked[self.start : self.start + self.length] = 0
        return masked


@dataclass(frozen=True)
class WindowReplay:
    """A drawn sequence of twins."""

    twins: tuple[WindowTwin, ...]

    def __call__(self, window: Tensor) -> Tensor:
        """Apply the twins one after another."""
        for twin in self.twins:
            window = twin(window)
        return window


class WindowAugmentation:
    """Draws the changes of one window.

    Parameters
    ----------
    strength : float
        In [0, 1]; scales ranges and probabilities of everything but flips.
    mirror_axes : sequence of int
        Axes of (D, H, W) that may be flipped, each with probability 1/2; none for series.
    frames : int
        Volumes T of a window.
    room : 3 ints
        Largest move along (D, H, W) in voxels; 0 for series and axes of length 1.
    """

    def __init__(self, strength: float, mirror_axes: Sequence[int], frames: int, room: Sequence[int]) -> None:
        self.strength, self.mirror_axes, self.frames = strength, tuple(mirror_axes), frames
        self.room = tuple(int(n) for n in room)

    def draw(self, rng: np.random.Generator) -> WindowReplay:
        """Draw the twins for one window; equal generators give equal twins."""
        s = self.strength

        def happens(probability: float) -> bool:
            return rng.random() < probability * s

        twins: list[WindowTwin] = []
        if axes := tuple(a for a in self.mirror_axes if rng.random() < 0.5):
            twins.append(Flip(axes))
        if any(self.room) and happens(0.5):
            d, h, w = (int(rng.integers(-n, n + 1)) for n in self.room)
            twins.append(Translate((d, h, w)))
        if happens(0.3):
            twins.append(Amplify(float(math.exp(rng.uniform(-0.3, 0.3) * s))))
        if self.frames > 1 and happens(0.3):
            twins.append(Drift(tuple(float(rng.normal(0, 0.2 * s)) for _ in range(2))))
        if happens(0.5):
            twins.append(Grain(float(rng.uniform(0, 0.5) * s), int(rng.integers(2**31))))
        if self.frames > 2 and happens(0.3):
            lost = np.flatnonzero(rng.random(self.frames - 1) < 0.1 * s) + 1
            twins.append(Hold(tuple(int(volume) for volume in lost)))
        if self.frames > 4 and happens(0.3):
            length = int(rng.integers(1, max(2, round(0.25 * s * self.frames)) + 1))
            twins.append(Silence(int(rng.integers(self.frames - length + 1)), length))
        return WindowReplay(tuple(twins))
