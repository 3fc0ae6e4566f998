"""The next batch is read and augmented while the device computes on this one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from voxnas.training.sampling.base import Sampler

Batch = tuple[Tensor, Tensor]


class Prefetcher:
    """Hands out batches of a sampler, one ahead in a thread where that helps.

    A batch is a pure function of its numbers, so a batch that nobody comes for costs time and changes nothing.

    Parameters
    ----------
    sampler : Sampler
        Used by one thread at a time.
    ahead : bool
        Whether to read ahead: on a GPU, for a processor that trains has no time to spare.
    """

    def __init__(self, sampler: Sampler, ahead: bool) -> None:
        self.sampler = sampler
        self._pool = ThreadPoolExecutor(1) if ahead else None
        self._next: tuple[tuple[int, ...], Future[Batch]] | None = None

    def batch(self, samples: Sequence[int], following: Sequence[int] = ()) -> Batch:
        """The batch of these samples; that of the following ones is begun."""
        waiting, self._next = self._next, None
        found = waiting[1].result() if waiting else None
        if waiting is None or waiting[0] != tuple(samples):
            found = self.sampler.batch(samples)
        if self._pool is not None and following:
            self._next = (tuple(following), self._pool.submit(self.sampler.batch, list(following)))
        assert found is not None
        return found
