"""Distillation: the outputs of trained networks are additional targets."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.nn.precision import autocast
from voxnas.training.losses import squared_error
from voxnas.training.steps.supervised import Supervised


class Distillation(Supervised):
    """Learning from the targets and the outputs of teachers (Hinton et al. 2015).

    The loss is ``(1 - w) L + w S`` with the supervised loss L. For classes the soft loss S is ``T ** 2 KL(q || p)``
    between the mean probabilities q of the teachers and p of the network at temperature T, averaged over samples and
    voxels. For values S is the squared error against the mean of the teachers. With deep supervision S applies only to
    the full resolution.

    Parameters
    ----------
    loss, smoothing
        As in :class:`Supervised`.
    teachers : sequence of nn.Module
        In evaluation mode, on the device of the training.
    temperature, weight : float
        T and w.
    precision : str
        As in the training settings.
    """

    def __init__(
        self,
        loss: str,
        smoothing: float,
        teachers: Sequence[nn.Module],
        temperature: float,
        weight: float,
        precision: str,
    ) -> None:
        super().__init__(loss, smoothing)
        self.teachers, self.temperature, self.weight, self.precision = teachers, temperature, weight, precision
        self.regression = loss == "mse"

    def loss(self, inputs: Tensor, outputs: Tensor | Sequence[Tensor], targets: Tensor) -> Tensor:
        """Weighted sum of the supervised and the soft loss."""
        first = outputs if isinstance(outputs, Tensor) else outputs[0]
        soft = self._soft_loss(first.float(), inputs)
        return (1 - self.weight) * super().loss(inputs, outputs, targets) + self.weight * soft

    def _soft_loss(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        with torch.no_grad(), autocast(self.precision, inputs.device):
            known = [teacher(inputs).float() for teacher in self.teachers]
        if self.regression:
            return squared_error(outputs, torch.stack(known).mean(0)[:, 0]).mean()
        wanted = torch.stack([(logits / self.temperature).softmax(1) for logits in known]).mean(0)
        found = (outputs / self.temperature).log_softmax(1)
        return self.temperature**2 * F.kl_div(found, wanted, reduction="none").sum(1).mean()
