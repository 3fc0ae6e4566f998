"""The supervised step: the loss between the outputs and the targets."""

from collections.abc import Sequence

from torch import Tensor

from voxnas.training.losses import loss_function, supervised
from voxnas.training.steps.base import Step


class Supervised(Step):
    """Learning from the targets.

    Parameters
    ----------
    loss : str
        A key of :data:`voxnas.training.losses.LOSSES`.
    smoothing : float
        Label smoothing of losses with a cross-entropy.
    """

    def __init__(self, loss: str, smoothing: float = 0.0) -> None:
        self.sample_loss = loss_function(loss, smoothing)

    def loss(self, inputs: Tensor, outputs: Tensor | Sequence[Tensor], targets: Tensor) -> Tensor:
        """The loss, with deep supervision (:func:`voxnas.training.losses.supervised`)."""
        return supervised(self.sample_loss, outputs, targets)
