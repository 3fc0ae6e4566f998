"""The protocol of the backends: what a training loop needs from several processes.

Gradients are summed, not averaged: the loop weights each process's loss by its share of the global
batch, so that unequal shares give the exact gradient of the whole batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from voxnas.training.distributed.shares import split_by_speed


class Backend(ABC):
    """One of the processes that train together.

    Attributes
    ----------
    speeds : sequence of float
        Samples per second of each process, the same on all; empty: not measured, all are taken for equal.
    hosts : sequence of str
        The nodes of a Slurm step, where several were asked for.
    """

    rank: int
    size: int
    device: torch.device  # where this process computes
    speeds: Sequence[float] = ()
    hosts: Sequence[str] = ()

    @abstractmethod
    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Give all processes the weights of process 0, and join network and optimizer to the others.

        Parameters
        ----------
        network : nn.Module
            On this process's device.
        optimizer : Optimizer
            Of the network.

        Returns
        -------
        network : nn.Module
            To call in training; the given one keeps the weights.
        optimizer : Optimizer
            To use instead of the given one. A saved state is loaded into it afterwards.
        """

    def part(self, last: bool) -> AbstractContextManager[None]:
        """Around forward and backward of one part of this process's share; the gradients travel with the last one."""
        return nullcontext()

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Add to the gradients those of the sum over all processes of their `loss`, ()."""

    def complete(self, optimizer: torch.optim.Optimizer) -> AbstractContextManager[None]:
        """Wait until the gradients are those of all processes; within it they may be changed and used."""
        return nullcontext()

    def step(self, optimizer: torch.optim.Optimizer, clip_norm: float, scaler: GradScaler) -> None:
        """Clip the summed gradients to the norm, update the weights and forget the gradients.

        Parameters
        ----------
        optimizer : Optimizer
            From :meth:`prepare`.
        clip_norm : float
            Largest norm of all gradients together.
        scaler : GradScaler
            That has scaled the loss; a disabled one scales by 1. Where it finds a gradient that is not finite it leaves
            the weights as they are: on every process, since all have the same sums.
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
        """Begin to sum float values (any shape, on any device) over all processes.

        Returns
        -------
        callable
            Waits for the sum and returns it, where the values were; every process gets it. It has to be called before
            the next sum begins.
        """

    def sum(self, values: Tensor) -> Tensor:
        """Sum of the float values (any shape) over all processes; every process gets it."""
        return self.begin_sum(values)()

    @abstractmethod
    def close(self) -> None:
        """Leave the group; nothing may follow."""

    def share(self, samples: Sequence[int]) -> Sequence[int]:
        """Slice of a global batch that this process computes, in proportion to its speed; may be empty."""
        counts = split_by_speed(len(samples), self.speeds or [1.0] * self.size)
        first = sum(counts[: self.rank])
        return samples[first : first + counts[self.rank]]
