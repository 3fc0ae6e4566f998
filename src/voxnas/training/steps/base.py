"""The protocol of the steps: the parts of an optimizer step in which trainings of different kinds differ."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from voxnas.training.gradients import Gradients


class Step(ABC):
    """One step of the loop, which computes the gradients of :meth:`loss` and lets the optimizer use them.

    Parameters that must not learn by the loop's optimizer have ``requires_grad`` False once the step is made.

    Attributes
    ----------
    optimizers : mapping of str to Optimizer
        Optimizers beside the loop's; their state is a part of the saved state.
    """

    optimizers: Mapping[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def loss(self, inputs: Tensor, outputs: Tensor | Sequence[Tensor], targets: Tensor) -> Tensor:
        """Mean loss of a part of a batch.

        Parameters
        ----------
        inputs : Tensor, (B, C, ...)
        outputs : Tensor or sequence of Tensor
            Of the network for the inputs: logits (B, K, ...), of the full resolution first.
        targets : Tensor, (B, ...)

        Returns
        -------
        Tensor, ()
        """

    def begin(self, network: nn.Module, gradients: Gradients, samples: Sequence[int]) -> None:  # noqa: B027
        """Act before the gradients of the loop's optimizer are computed.

        Parameters
        ----------
        network : nn.Module
            In training mode.
        gradients : Gradients
            Of the loop.
        samples : sequence of int
            Numbers of the samples of the global batch.
        """
