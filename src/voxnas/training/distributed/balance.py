"""Load balancing: each process receives a share of a batch in proportion to its measured speed.

The gradient of the whole batch does not depend on the division, so shares do not belong to the identity of a training.
They follow the hardware, and results differ only by the order of summation.
"""

import time
from typing import Any

import torch
from torch import Tensor, nn

from voxnas.training.distributed.base import Backend

SKIPPED = 2  # first steps, which allocate memory and load code
MEASURED = 5  # steps of one measurement
EVERY = 500  # steps between the beginnings of two measurements


class Balance:
    """Periodic measurement of the speed of each process.

    A measured step lasts from its beginning to the last gradient of this process, before the process waits for others.
    It includes every delay of the process.

    Parameters
    ----------
    backend : Backend
        Receives the speeds. All processes call :meth:`begin` and :meth:`end` equally often.
    network : nn.Module
        The network whose last gradient ends a measured step.
    """

    def __init__(self, backend: Backend, network: nn.Module) -> None:
        self.backend = backend
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self._steps = 0
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._seconds, self._samples = 0.0, 0

    def begin(self) -> None:
        """Begin a step, before its samples are read."""
        if self._steps % EVERY == SKIPPED:
            self._hooks = [p.register_post_accumulate_grad_hook(self._mark) for p in self.parameters]
            self._seconds, self._samples = 0.0, 0
        if self._hooks:
            self._first = self._last = self._now()

    def end(self, samples: int) -> bool:
        """End a step in which this process computed a number of `samples`.

        Returns
        -------
        bool
            Whether the speeds were updated.
        """
        self._steps += 1
        if not self._hooks:
            return False
        self._seconds += self._between(self._first, self._last)
        self._samples += samples
        if self._steps % EVERY != SKIPPED + MEASURED:
            return False
        for hook in self._hooks:
            hook.remove()
        self._hooks = []
        speeds = torch.zeros(self.backend.size, dtype=torch.float64)
        speeds[self.backend.rank] = self._samples / max(self._seconds, 1e-9)
        # Each speed is summed with zeros, so all processes hold identical bits and divide the batch identically.
        self.backend.speeds = self.backend.sum(speeds).tolist()
        return True

    def _mark(self, parameter: Tensor) -> None:
        self._last = self._now()

    def _now(self) -> Any:
        """Return the time in s, or on a GPU an event in its queue."""
        if self.backend.device.type != "cuda":
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @staticmethod
    def _between(first: Any, last: Any) -> float:
        if isinstance(first, float):
            return last - first
        last.synchronize()
        return first.elapsed_time(last) / 1e3
