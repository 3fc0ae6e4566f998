"""Placement of trainings on unequal nodes by their predicted times.

Placement does not affect results: the record of a training is the same on every node, and the store does not record
the node. Each kind of node is measured once (``voxnas device``) into its own file. Imports no torch.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from voxnas.arch.families import family_of
from voxnas.complexity.calibration import predict_sample_seconds
from voxnas.core import canonical
from voxnas.core.architecture import Architecture
from voxnas.core.calibration import DeviceCalibration


def trial_seconds(device: DeviceCalibration, architecture: Architecture, patch: Sequence[int], samples: int) -> float:
    """Predict the wall time of a training on one kind of node, in seconds.

    Parameters
    ----------
    device : DeviceCalibration
        Measurements of the kind of node.
    architecture : Architecture
        A linear model takes the start time only.
    patch : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of one sample.
    samples : int
        Samples to train on.
    """
    if family_of(architecture).fitted:
        return device.start_seconds
    rate = device.wall_factor * predict_sample_seconds(device, architecture, patch)
    return device.start_seconds + rate * samples


def earliest_end(
    times: Sequence[Mapping[str, float]], slots: Mapping[str, int], window: int | None = None
) -> list[str]:
    """Assign each training to the kind of node with the earliest predicted end (MCT: Maheswaran et al. 1999).

    A cheap network is assigned to a free slow node; an expensive network waits for a fast node if it then ends
    earlier. All nodes are assumed to be free at the start and reserved for these trainings.

    Parameters
    ----------
    times : sequence of mapping of kind to float
        Predicted seconds of each training, in starting order; a training cannot run on kinds without an entry.
    slots : mapping of kind to int
        Parallel trainings on all nodes of a kind.
    window : int or None
        Training j does not start before training j - window has ended; None: no such limit.

    Returns
    -------
    list of str
        Kind of node of each training; ties are resolved in the order of `slots`.
    """
    free = {kind: [0.0] * count for kind, count in slots.items()}
    kinds: list[str] = []
    ends: list[float] = []
    for index, seconds in enumerate(times):
        ready = ends[index - window] if window is not None and index >= window else 0.0
        last = {kind: max(free[kind][0], ready) + seconds[kind] for kind in slots if kind in seconds}
        kind = min(last, key=last.__getitem__)
        heapq.heapreplace(free[kind], last[kind])
        kinds.append(kind)
        ends.append(last[kind])
    return kinds


@dataclass(frozen=True)
class Worker:
    """A free node, for which a step in `order: arrival` makes its proposal.

    Parameters
    ----------
    kind : str
        Kind of the node.
    seconds : float
        Limit on the predicted wall time of a trial.
    device : DeviceCalibration
        Measurements of the kind.
    """

    kind: str
    seconds: float
    device: DeviceCalibration

    @property
    def digest(self) -> str:
        """Digest of the measurements."""
        return canonical.digest(self.device.plain())

    def fits(self, architecture: Architecture, patch: Sequence[int], samples: int) -> bool:
        """Whether the predicted time of a training is within the limit."""
        return trial_seconds(self.device, architecture, patch, samples) <= self.seconds
