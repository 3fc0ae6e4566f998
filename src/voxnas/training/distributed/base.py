"""The protocol of the backends, by which the training loop uses several processes.

Gradients are summed, not averaged. The loop weights the loss of each process by its share of the global batch, so that
unequal shares give the exact gradient of the whole batch.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from voxnas.training.distributed.shares import split_by_speed

T = TypeVar("T")


class Backend(ABC):
    """One of the processes that train together.

    Attributes
    ----------
    speeds : sequence of float
        Samples per second of each process, identical on all; empty if not measured, which means equal speeds.
    hosts : sequence of str
        The nodes of a Slurm step on several nodes.
    """

    rank: int
    size: int
    device: torch.device  # of this process
    speeds: Sequence[float] = ()
    hosts: Sequence[str] = ()

    @abstractmethod
    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Broadcast the weights of process 0, and connect network and optimizer to the other processes.

        Parameters
        ----------
        network : nn.Module
            On this process's device.
        optimizer : Optimizer
            Of the network.

        Returns
        -------
        network : nn.Module
            The module to call in training; the given network keeps the weights.
        optimizer : Optimizer
            Replaces the given one. A saved state is loaded into it afterwards.
        """

    def part(self, last: bool) -> AbstractContextManager[None]:
        """Context of the passes of one part of this process's share; the `last` part triggers the exchange."""
        return nullcontext()

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Accumulate the gradients of the sum of `loss`, (), over all processes."""

    def complete(self, optimizer: torch.optim.Optimizer) -> AbstractContextManager[None]:
        """Wait for the summed gradients; within the context they may be changed and given to `optimizer`."""
        return nullcontext()

    def step(self, optimizer: torch.optim.Optimizer, clip_norm: float, scaler: GradScaler) -> None:
        """Clip the summed gradients, update the weights and reset the gradients.

        Parameters
        ----------
        optimizer : Optimizer
            From :meth:`prepare`.
        clip_norm : float
            Largest norm of all gradients together.
        scaler : GradScaler
            The scaler of the loss; a disabled scaler has the factor 1. With a non-finite gradient it skips the update,
            on every process, because all processes hold the same sums.
        """
        with self.complete(optimizer):
            scaler.unscale_(optimizer)
            parameters = [p for group in optimizer.param_groups for p in group["params"]]
            nn.utils.clip_grad_norm_(parameters, clip_norm)
            scaler.step(optimizer)
            scaler.update()
        optimizer.zero_grad()

    @abstractmethod
    def begin_sum(self, values: Tensor) -> Callable[[], Tensor]:
        """Begin the sum of float `values` (any shape, on any device) over all processes.

        Returns
        -------
        callable
            Waits for the sum and returns it on the device of the values, on every process. It must be called before
            the next sum begins.
        """

    def sum(self, values: Tensor) -> Tensor:
        """Sum of the float `values` (any shape) over all processes, on every process."""
        return self.begin_sum(values)()

    @abstractmethod
    def broadcast(self, value: T) -> T:
        """Return the `value` of process 0, a picklable object with tensors on the CPU, on every process."""

    @abstractmethod
    def close(self) -> None:
        """Leave the group of processes; no other call may follow."""

    def share(self, samples: Sequence[int]) -> Sequence[int]:
        """Slice of a global batch of `samples` for this process, in proportion to its speed; may be empty."""
        counts = split_by_speed(len(samples), self.speeds or [1.0] * self.size)
        first = sum(counts[: self.rank])
        return samples[first : first + counts[self.rank]]
