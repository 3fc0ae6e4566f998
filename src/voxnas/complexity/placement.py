"""Which kind of node trains what: predicted times on unequal nodes, and the node that will be done first.

None of it takes part in a result: a training is the same record wherever it runs, and the store does
not know where that was. Each kind of node is measured once (``voxnas device``), into a file of its own. Imports no
torch.
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
    """Wall seconds that a training takes on one kind of node.

    Parameters
    ----------
    device : DeviceCalibration
        Measurements of the kind of node.
    architecture : Architecture
        What is trained. A linear model is fitted in no time.
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
    """Give each training to the kind of node on which it is predicted to end first (MCT: Maheswaran et al. 1999).

    So a cheap network goes to a slow node that is free, and a dear one waits for a fast node where that is sooner. The
    nodes are those of this list alone, free at its beginning; what others run on them is not known here.

    Parameters
    ----------
    times : sequence of mapping of kind to float
        Predicted seconds of each training, in the order in which they start; without an entry it cannot run there.
    slots : mapping of kind to int
        Trainings that the nodes of a kind run at once.
    window : int or None
        Training j does not start before training j - window has ended; None: all may start at once.

    Returns
    -------
    list of str
        Kind of node of each training. Of equal ends the kind that is named first.
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
    """A free node, for which a step in order of arrival makes its proposal.

    Parameters
    ----------
    kind : str
        Kind of the node.
    seconds : float
        Predicted wall time that a trial may take on it.
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
        """Whether a training is predicted to end in time."""
        return trial_seconds(self.device, architecture, patch, samples) <= self.seconds
