"""Bilevel optimisation: alternating updates of the alphas of a supernet and of its weights, on separate scans."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from voxnas.core.errors import UserError
from voxnas.core.seeds import derive_seed
from voxnas.core.training import Supernet
from voxnas.nn.network import Network
from voxnas.training.gradients import Gradients
from voxnas.training.sampling.base import Sampler
from voxnas.training.steps.alphas import Penalties, find_alphas, named_weights, skip_share
from voxnas.training.steps.supervised import Supervised

BETAS = (0.5, 0.999)  # of Adam (Liu et al. 2019)
COLDEST = 1e-3  # temperature of the samples (Kim et al. 2019)
DIFFERENCE = 0.01  # of the finite difference, relative to the norm of the gradient (Liu et al. 2019)


class Bilevel(Supervised):
    """One Adam step for the alphas on separate scans, then steps for the weights.

    First-order DARTS (Liu et al. 2019, equation 7 with xi = 0); with ``order`` 2 the alphas anticipate one step of
    gradient descent of the weights (equations 7 and 8). With a relaxation that samples, each pass of a batch computes
    and stores only the sampled operations: several of each edge, weighted by a softmax (SCNAS, Kim et al. 2019,
    MICCAI), or one, with the weight 1 (GDAS, Dong and Yang 2019, CVPR).

    Parameters
    ----------
    loss, smoothing
        As in :class:`Supervised`.
    network : nn.Module
        Only this step updates its alphas.
    job : Supernet
    sampler : Sampler
        Samples of the scans for the weights.
    alpha_sampler : Sampler
        Samples of the scans for the alphas.

    Raises
    ------
    UserError
        If the network has no alphas.
    """

    def __init__(
        self, loss: str, smoothing: float, network: nn.Module, job: Supernet, sampler: Sampler, alpha_sampler: Sampler
    ) -> None:
        super().__init__(loss, smoothing)
        self.job, self.sampler, self.alpha_sampler = job, sampler, alpha_sampler
        self.alphas = find_alphas(network)
        if not self.alphas:
            raise UserError("the network of a supernet training has no alphas", "train it with kind = fit")
        rate, decay = job.alpha_learning_rate, job.alpha_weight_decay
        self.optimizers = {"alphas": torch.optim.Adam(self.alphas, lr=rate, betas=BETAS, weight_decay=decay)}
        self._let_learn(False)
        self.weights = [p for p in network.parameters() if p.requires_grad]
        self.network = network if isinstance(network, Network) else None
        self.penalties = Penalties(self.network, job) if self.network is not None else None

    def begin(self, network: nn.Module, gradients: Gradients, samples: Sequence[int]) -> None:
        """Update the alphas with as many samples of their scans as the weights receive, and draw the operations."""
        job, seen = self.job, samples[0]
        progress = seen / job.samples
        due = progress >= job.warm_up and seen // len(samples) % job.alpha_every == 0
        if self.penalties is not None and job.auxiliary_skip:
            self.penalties.set_auxiliary(job.auxiliary_skip * (1 - progress))
        if due and (self.network is None or job.most_skips == 1 or skip_share(self.network) <= job.most_skips):
            self._draw("alphas", seen, progress)
            self._let_learn(True)
            mine = gradients.backend.share(samples)
            batch = self.alpha_sampler.batch(mine or samples[:1])
            found = self._gradients(network, gradients, batch, mine or samples[:1], len(mine) / len(samples))
            if self.penalties is not None:
                added = self.penalties.gradients(self.alphas, progress, batch[0].shape)
                found = [gradient + more for gradient, more in zip(found, added, strict=True)]
            if all(gradient.isfinite().all() for gradient in found):  # otherwise the loss scale is too large
                for parameter, gradient in zip(self.alphas, found, strict=True):
                    parameter.grad = gradient
                self.optimizers["alphas"].step()
                self.optimizers["alphas"].zero_grad()
            self._let_learn(False)
        self._draw("weights", seen, progress)

    def facts(self) -> dict[str, float]:
        """The weight of each operation of each edge, by ``<node>/<edge>/<operation>``, before any sampling."""
        return {} if self.network is None else named_weights(self.network)

    def _draw(self, what: str, seen: int, progress: float) -> None:
        """Draw the operations of the next pass, equally in all processes."""
        if self.network is None or self.job.relaxation == "softmax":
            return
        generator = torch.Generator().manual_seed(derive_seed(self.job.seed, "operations", what, seen))
        temperature = max(COLDEST, math.exp(-self.job.cooling * progress))
        hard = self.job.relaxation == "straight_through"
        for mix in self.network.owned().values():
            mix.draw = mix.sample(generator, self.job.operations, self.job.edges, temperature, hard)
        self.network.choose()

    def _gradients(
        self,
        network: nn.Module,
        gradients: Gradients,
        batch: tuple[Tensor, Tensor],
        samples: Sequence[int],
        weight: float,
    ) -> list[Tensor]:
        """Gradients of the loss of a `batch` of the scans for the alphas with respect to the alphas."""
        if self.job.order == 1:
            return list(gradients.of(self.alphas, network, *batch, weight))
        return self._second_order(network, gradients, batch, self.sampler.batch(samples), weight)

    @torch.no_grad()
    def _second_order(
        self,
        network: nn.Module,
        gradients: Gradients,
        batch: tuple[Tensor, Tensor],
        training: tuple[Tensor, Tensor],
        weight: float,
    ) -> list[Tensor]:
        """Gradients through one step of gradient descent of the weights, by a finite difference."""

        def of(parameters: Sequence[nn.Parameter], data: tuple[Tensor, Tensor]) -> list[Tensor]:
            with torch.enable_grad():
                return list(gradients.of(parameters, network, *data, weight))

        def move(directions: Sequence[Tensor], length: float) -> None:
            for p, start, direction in zip(self.weights, before, directions, strict=True):
                p.copy_(start + length * direction)

        rate, before = self.job.recipe.learning_rate, [p.clone() for p in self.weights]
        move(of(self.weights, training), -rate)
        found = of([*self.alphas, *self.weights], batch)
        direct, ahead = found[: len(self.alphas)], found[len(self.alphas) :]
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in ahead]))
        length = DIFFERENCE / max(float(norm), 1e-12)
        move(ahead, length)
        above = of(self.alphas, training)
        move(ahead, -length)
        below = of(self.alphas, training)
        move(ahead, 0.0)
        return [d - rate * (a - b) / (2 * length) for d, a, b in zip(direct, above, below, strict=True)]

    def _let_learn(self, whether: bool) -> None:
        for parameter in self.alphas:
            parameter.requires_grad_(whether)
