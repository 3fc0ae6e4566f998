"""The backend of a single process."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from voxnas.nn.device import compute_device
from voxnas.training.distributed.base import Backend, T


class SingleBackend(Backend):
    """A group of one process, without any exchange."""

    rank = 0
    size = 1

    def __init__(self) -> None:
        self.device = compute_device()

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Return both unchanged."""
        return network, optimizer

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients of the loss."""
        loss.backward()

    def begin_sum(self, values: Tensor) -> Callable[[], Tensor]:
        """Return the `values` (any shape) unchanged."""
        return lambda: values

    def broadcast(self, value: T) -> T:
        """Return the `value` unchanged."""
        return value

    def close(self) -> None:
        """Do nothing."""
