"""Reading and augmentation of the next batch during the computation of the current batch."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from torch import Tensor

from voxnas.training.sampling.base import Sampler

Batch = tuple[Tensor, Tensor]


class Prefetcher:
    """Source of the batches of a sampler, which may read one batch ahead in a thread.

    A batch is a pure function of its samples, so an unused batch costs time and changes nothing.

    Parameters
    ----------
    sampler : Sampler
        Used by one thread at a time.
    ahead : bool
        Whether to read ahead. It helps with a GPU, because a CPU that trains has no idle time.
    """

    def __init__(self, sampler: Sampler, ahead: bool) -> None:
        self.sampler = sampler
        self._pool = ThreadPoolExecutor(1) if ahead else None
        self._next: tuple[tuple[int, ...], Future[Batch]] | None = None

    def batch(self, samples: Sequence[int], following: Sequence[int] = ()) -> Batch:
        """Return the batch of `samples`, and begin the batch of the `following` samples."""
        waiting, self._next = self._next, None
        found = waiting[1].result() if waiting else None
        if waiting is None or waiting[0] != tuple(samples):
            found = self.sampler.batch(samples)
        if self._pool is not None and following:
            self._next = (tuple(following), self._pool.submit(self.sampler.batch, list(following)))
        assert found is not None
        return found
