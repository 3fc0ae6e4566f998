"""The protocol of the steps: the parts of an optimizer step that depend on the kind of training."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from voxnas.training.gradients import Gradients


class Step(ABC):
    """One step of the loop, which computes the gradients of :meth:`loss` and updates the weights.

    The constructor sets ``requires_grad`` to False for parameters that the loop's optimizer must not update.

    Attributes
    ----------
    optimizers : mapping of str to Optimizer
        Optimizers in addition to the loop's; their state belongs to the saved state.
    """

    optimizers: Mapping[str, torch.optim.Optimizer] = {}

    @abstractmethod
    def loss(self, inputs: Tensor, outputs: Tensor | Sequence[Tensor], targets: Tensor) -> Tensor:
        """Mean loss of a part of a batch.

        Parameters
        ----------
        inputs : Tensor, (B, C, ...)
        outputs : Tensor or sequence of Tensor
            Outputs of the network: logits (B, K, ...), the full resolution first.
        targets : Tensor, (B, ...)

        Returns
        -------
        Tensor, ()
        """

    def begin(self, network: nn.Module, gradients: Gradients, samples: Sequence[int]) -> None:  # noqa: B027
        """Prepare the step, before the loop computes its gradients.

        Parameters
        ----------
        network : nn.Module
            In training mode.
        gradients : Gradients
            The gradients of the loop.
        samples : sequence of int
            Indices of the samples of the global batch.
        """

    def facts(self) -> dict[str, float]:
        """Values of the step for the curve of the training, by column."""
        return {}
