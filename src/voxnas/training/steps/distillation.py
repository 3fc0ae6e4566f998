"""Distillation: the outputs of trained networks are additional targets."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.nn.precision import autocast
from voxnas.training.gradients import Gradients
from voxnas.training.inference import apply_padded
from voxnas.training.losses import squared_error
from voxnas.training.steps.supervised import Supervised
from voxnas.training.targets import Targets


class Distillation(Supervised):
    """Learning from the targets and the outputs of teachers (Hinton et al. 2015).

    The loss is ``(1 - w) L + w S`` with the supervised loss L. For classes the soft loss S is ``T ** 2 KL(q || p)``
    between the mean probabilities q of the teachers and p of the network at temperature T, averaged over samples and
    voxels. For values S is the squared error against the mean of the teachers. With deep supervision S applies only to
    the full resolution. Out-of-fold teachers have not learnt the scan that they teach, so that their outputs have the
    uncertainty that they have on unseen scans.

    Parameters
    ----------
    loss, smoothing
        As in :class:`Supervised`.
    teachers : mapping of int or None to sequence of nn.Module
        Teachers of the scans of each fold, or of all scans under None; in evaluation mode, on the device of the
        training. Their inputs are padded to their divisors. The attribute ``target_scale`` is the mean and standard
        deviation of predicted values.
    temperature, weight : float
        T and w.
    precision : str
        As in the training settings.
    targets : Targets
        Coding of the targets of the training.
    fold_of : callable or None
        Fold of the scan of a sample, for out-of-fold teachers.
    """

    def __init__(
        self,
        loss: str,
        smoothing: float,
        teachers: Mapping[int | None, Sequence[nn.Module]],
        temperature: float,
        weight: float,
        precision: str,
        targets: Targets,
        fold_of: Callable[[int], int] | None = None,
    ) -> None:
        super().__init__(loss, smoothing)
        self.teachers, self.temperature, self.weight, self.precision = teachers, temperature, weight, precision
        self.targets, self.fold_of = targets, fold_of
        self._folds: deque[int] = deque()  # of the samples whose loss is due

    def begin(self, network: nn.Module, gradients: Gradients, samples: Sequence[int]) -> None:
        """Look up the folds of the samples of this process."""
        if self.fold_of is not None:
            self._folds = deque(map(self.fold_of, gradients.backend.share(samples) or samples[:1]))

    def loss(self, inputs: Tensor, outputs: Tensor | Sequence[Tensor], targets: Tensor) -> Tensor:
        """Weighted sum of the supervised and the soft loss."""
        first = outputs if isinstance(outputs, Tensor) else outputs[0]
        soft = self._soft_loss(first.float(), inputs)
        return (1 - self.weight) * super().loss(inputs, outputs, targets) + self.weight * soft

    def _soft_loss(self, outputs: Tensor, inputs: Tensor) -> Tensor:
        folds = [None if self.fold_of is None else self._folds.popleft() for _ in inputs]
        parts = [(fold, len(list(same))) for fold, same in groupby(folds)]
        pieces = inputs.split([count for _, count in parts])
        wanted = torch.cat([self._teach(fold, piece) for (fold, _), piece in zip(parts, pieces, strict=True)])
        if self.targets.task == "regression":
            return squared_error(outputs, wanted[:, 0]).mean()
        found = (outputs / self.temperature).log_softmax(1)
        return self.temperature**2 * F.kl_div(found, wanted, reduction="none").sum(1).mean()

    @torch.no_grad()
    def _teach(self, fold: int | None, inputs: Tensor) -> Tensor:
        """Mean over the teachers of a fold: softened probabilities (B, K, ...), or standardised values (B, 1)."""
        with autocast(self.precision, inputs.device):
            known = [(teacher, apply_padded(teacher, inputs).float()) for teacher in self.teachers[fold]]
        if self.targets.task != "regression":
            return torch.stack([(logits / self.temperature).softmax(1) for _, logits in known]).mean(0)
        scaled = [(output, *getattr(teacher, "target_scale")) for teacher, output in known]  # noqa: B009
        mean = torch.stack([output * sd + centre for output, centre, sd in scaled]).mean(0)
        return (mean - self.targets.mean) / self.targets.sd
