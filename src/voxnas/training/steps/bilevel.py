"""Bilevel optimisation: alternating updates of the alphas of a supernet and of its weights, on separate scans."""

from collections.abc import Sequence

import torch
from torch import nn

from voxnas.core.errors import UserError
from voxnas.core.training import Supernet
from voxnas.training.gradients import Gradients
from voxnas.training.sampling.base import Sampler
from voxnas.training.steps.supervised import Supervised

BETAS = (0.5, 0.999)  # of Adam (Liu et al. 2019)


def find_alphas(network: nn.Module) -> list[nn.Parameter]:
    """The architecture parameters of a supernet `network`: all parameters named ``alphas``."""
    return [p for name, p in network.named_parameters() if name.rpartition(".")[2] == "alphas"]


class Bilevel(Supervised):
    """One Adam step for the alphas on separate scans, then one step for the weights.

    First-order DARTS (Liu et al. 2019, equation 7 with xi = 0).

    Parameters
    ----------
    loss, smoothing
        As in :class:`Supervised`.
    network : nn.Module
        Only this step updates its alphas.
    job : Supernet
    sampler : Sampler
        Samples of the scans for the alphas.

    Raises
    ------
    UserError
        If the network has no alphas.
    """

    def __init__(self, loss: str, smoothing: float, network: nn.Module, job: Supernet, sampler: Sampler) -> None:
        super().__init__(loss, smoothing)
        self.alphas, self.sampler = find_alphas(network), sampler
        if not self.alphas:
            raise UserError("the network of a supernet training has no alphas", "train it with kind = fit")
        rate, decay = job.alpha_learning_rate, job.alpha_weight_decay
        self.optimizers = {"alphas": torch.optim.Adam(self.alphas, lr=rate, betas=BETAS, weight_decay=decay)}
        self._let_learn(False)

    def begin(self, network: nn.Module, gradients: Gradients, samples: Sequence[int]) -> None:
        """Update the alphas with as many samples of their scans as the weights receive."""
        mine = gradients.backend.share(samples)
        batch = self.sampler.batch(mine or samples[:1])
        self._let_learn(True)
        found = list(gradients.of(self.alphas, network, *batch, len(mine) / len(samples)))
        if all(gradient.isfinite().all() for gradient in found):  # otherwise the loss scale is too large
            for parameter, gradient in zip(self.alphas, found, strict=True):
                parameter.grad = gradient
            self.optimizers["alphas"].step()
            self.optimizers["alphas"].zero_grad()
        self._let_learn(False)

    def _let_learn(self, whether: bool) -> None:
        for parameter in self.alphas:
            parameter.requires_grad_(whether)
