"""The gradients of a process's share of a batch, computed in parts that fit into its memory."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.amp import GradScaler

from voxnas.nn.precision import autocast
from voxnas.training.distributed.base import Backend
from voxnas.training.losses import SampleLoss, supervised


@dataclass(frozen=True)
class Gradients:
    """Forward and backward of a share.

    Parameters
    ----------
    model : nn.Module
        From the backend's ``prepare``.
    backend : Backend
        Adds up the gradients of all processes, once for each share.
    scaler : GradScaler
        Scales the loss; a disabled one leaves it.
    loss_of : callable
        A value of :data:`voxnas.training.losses.LOSSES`.
    precision : str
        As in the training settings.
    micro_batch : int
        Most samples of a part; 0: the share is one part. Every sample has its own loss and no norm looks at
        other samples, so the parts' gradients add up to those of the share.
    """

    model: nn.Module
    backend: Backend
    scaler: GradScaler
    loss_of: SampleLoss
    precision: str
    micro_batch: int = 0

    def __call__(self, images: Tensor, targets: Tensor, weight: float) -> Tensor:
        """Add the gradients of the samples' mean loss times the weight.

        Parameters
        ----------
        images : Tensor, (B, C, ...)
        targets : Tensor, (B, ...)
        weight : float
            The share as a part of the global batch; 0 for a process that only takes part in the exchange.

        Returns
        -------
        Tensor, ()
            That loss.
        """
        device, size = self.backend.device, self.micro_batch or len(images)
        parts = list(zip(images.split(size), targets.split(size), strict=True))
        total = torch.zeros((), device=device)
        for i, part in enumerate(parts):
            with self.backend.part(last=i == len(parts) - 1):
                inputs, wanted = (t.to(device, non_blocking=True) for t in part)
                with autocast(self.precision, device):
                    outputs = self.model(inputs)
                loss = supervised(self.loss_of, outputs, wanted) * (weight * len(inputs) / len(images))
                self.backend.backward(self.scaler.scale(loss))
            total = total + loss.detach()
        return total
