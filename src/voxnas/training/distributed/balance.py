"""Processes of unequal speed get shares of a batch in proportion to what they are measured to compute.

The gradient is that of the whole batch whoever computes which sample of it, so shares are no part of what a training
is: they follow the hardware, and results differ by the order of summation alone.
"""

from __future__ import annotations

import time
from typing import Any

import torch
from torch import Tensor, nn

from voxnas.training.distributed.base import Backend

SKIPPED = 2  # first steps, in which memory is allocated and code is loaded
MEASURED = 5  # steps of one measurement
EVERY = 500  # steps from one measurement to the next


class Balance:
    """Measures this process now and then, and sets the speeds of all.

    A measured step is timed from its beginning until the last gradient of this process is there, which is before
    anybody waits for another process's; what stops or slows a process in between counts.

    Parameters
    ----------
    backend : Backend
        Gets the speeds. All processes call :meth:`begin` and :meth:`end` equally often.
    network : nn.Module
        Whose gradients are waited for.
    """

    def __init__(self, backend: Backend, network: nn.Module) -> None:
        self.backend = backend
        self.parameters = [p for p in network.parameters() if p.requires_grad]
        self._steps = 0
        self._hooks: list[torch.utils.hooks.RemovableHandle] = []
        self._seconds, self._samples = 0.0, 0

    def begin(self) -> None:
        """A step begins, with the reading of its samples."""
        if self._steps % EVERY == SKIPPED:
            self._hooks = [p.register_post_accumulate_grad_hook(self._mark) for p in self.parameters]
            self._seconds, self._samples = 0.0, 0
        if self._hooks:
            self._first = self._last = self._now()

    def end(self, samples: int) -> bool:
        """A step of so many samples of this process is over.

        Returns
        -------
        bool
            Whether the speeds were set anew.
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
        # Each number is summed with zeros alone, so all processes hold the same bits and cut the batch alike.
        self.backend.speeds = self.backend.sum(speeds).tolist()
        return True

    def _mark(self, parameter: Tensor) -> None:
        self._last = self._now()

    def _now(self) -> Any:
        """Return the time in s; on a GPU an event in its queue."""
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
