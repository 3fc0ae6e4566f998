"""The protocol of the backends: what a training loop needs from several processes.

Gradients are summed, not averaged: the loop weights each process's loss by its share of the global
batch, so that unequal shares give the exact gradient of the whole batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Backend(ABC):
    """One of the processes that train together."""

    rank: int
    size: int
    device: torch.device  # where this process computes

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

    @abstractmethod
    def backward(self, loss: Tensor) -> None:
        """Compute gradients of the sum over all processes of their `loss`, ()."""

    @abstractmethod
    def step(self, optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
        """Clip the summed gradients to the norm, update the weights and forget the gradients."""

    @abstractmethod
    def sum(self, values: Tensor) -> Tensor:
        """Sum of a float tensor over all processes, of any shape and on any device; every process gets it there."""

    @abstractmethod
    def close(self) -> None:
        """Leave the group; nothing may follow."""

    def share(self, samples: Sequence[int]) -> Sequence[int]:
        """Slice of a global batch that this process computes; may be empty."""
        n = len(samples)
        return samples[n * self.rank // self.size : n * (self.rank + 1) // self.size]


def clip_and_step(optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
    """Clip, update, forget: the step once the gradients are complete."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    nn.utils.clip_grad_norm_(parameters, clip_norm)
    optimizer.step()
