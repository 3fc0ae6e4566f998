"""The gradients of a process's share of a batch, in parts that fit into memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from voxnas.nn.precision import autocast
from voxnas.training.distributed.base import Backend

BatchLoss = Callable[[Tensor, Tensor | Sequence[Tensor], Tensor], Tensor]
"""The mean loss () as a function of inputs (B, ...), outputs (B, K, ...) and targets (B, ...)."""


@dataclass(frozen=True)
class Gradients:
    """Forward and backward passes of a share.

    Parameters
    ----------
    model : nn.Module
        From the backend's ``prepare``.
    backend : Backend
        Sums the gradients of all processes, once for each share.
    scaler : GradScaler
        Scales the loss; a disabled scaler leaves it unchanged.
    loss : callable
        The loss of a step (:class:`voxnas.training.steps.base.Step`).
    precision : str
        As in the training settings.
    micro_batch : int
        Largest number of samples of a part; 0 for one part. Each sample has a loss of its own and norms treat samples
        separately, so the gradients of the parts sum to the gradient of the share.
    """

    model: nn.Module
    backend: Backend
    scaler: GradScaler
    loss: BatchLoss
    precision: str
    micro_batch: int = 0

    def __call__(self, images: Tensor, targets: Tensor, weight: float) -> Tensor:
        """Accumulate the gradients of the weighted mean loss of the samples.

        Parameters
        ----------
        images : Tensor, (B, C, ...)
        targets : Tensor, (B, ...)
        weight : float
            Share of this process in the global batch; 0 for a process that only takes part in the exchange.

        Returns
        -------
        Tensor, ()
            The weighted mean loss.
        """
        total = torch.zeros((), device=self.backend.device)
        parts = self._parts(images, targets)
        for i, part in enumerate(parts):
            with self.backend.part(last=i == len(parts) - 1):
                loss = self._loss(self.model, *part) * (weight * len(part[0]) / len(images))
                self.backend.backward(self.scaler.scale(loss))
            total = total + loss.detach()
        return total

    def of(
        self, parameters: Sequence[nn.Parameter], network: nn.Module, images: Tensor, targets: Tensor, weight: float
    ) -> Iterator[Tensor]:
        """Gradients with respect to given parameters alone, summed over all processes.

        Parameters
        ----------
        parameters : sequence of Parameter
            Parameters that the backend does not exchange.
        network : nn.Module
            The network itself, which the backend's model may wrap.
        images : Tensor, (B, C, ...)
        targets : Tensor, (B, ...)
        weight : float
            Share of this process in the global batch.

        Returns
        -------
        iterator of Tensor
            One gradient for each parameter, of its shape.
        """
        total = torch.zeros(sum(p.numel() for p in parameters), device=self.backend.device)
        for part in self._parts(images, targets):
            loss = self._loss(network, *part) * (weight * len(part[0]) / len(images))
            # A supernet may draw operations by which some of its nodes have no path to the output.
            found = torch.autograd.grad(self.scaler.scale(loss), parameters, allow_unused=True, materialize_grads=True)
            total += torch.cat([gradient.flatten() for gradient in found])
        total = self.backend.sum(total) / self.scaler.get_scale()
        parts = total.split([p.numel() for p in parameters])
        return (part.view_as(p) for part, p in zip(parts, parameters, strict=True))

    def _parts(self, images: Tensor, targets: Tensor) -> list[tuple[Tensor, Tensor]]:
        size = self.micro_batch or len(images)
        return list(zip(images.split(size), targets.split(size), strict=True))

    def _loss(self, model: nn.Module, images: Tensor, targets: Tensor) -> Tensor:
        inputs, wanted = (t.to(self.backend.device, non_blocking=True) for t in (images, targets))
        with autocast(self.precision, self.backend.device):
            outputs = model(inputs)
        return self.loss(inputs, outputs, wanted)
