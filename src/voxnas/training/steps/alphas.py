"""The alphas of a supernet: their parameters, their names, and penalties that keep them from a collapse."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from voxnas.arch.graph import infer_shapes
from voxnas.core.training import Supernet
from voxnas.nn.network import Network

ARCHITECTURE = ("alphas", "betas")
SKIP = "skip"


def find_alphas(network: nn.Module) -> list[nn.Parameter]:
    """The architecture parameters of a supernet `network`: all parameters named ``alphas`` or ``betas``."""
    return [p for name, p in network.named_parameters() if name.rpartition(".")[2] in ARCHITECTURE]


def named_weights(network: Network) -> dict[str, float]:
    """The weight of each operation, by ``<label>/<edge>/<operation>``; an edge's sum to 1, with ``zero``.

    ``<label>/<edge>`` is the share of an edge among the edges of its node.
    """
    found = {}
    for label, mix in network.owned().items():
        alphas, betas = mix.alphas.detach().softmax(1), mix.betas.detach().softmax(0)
        for edge, (row, share) in enumerate(zip(alphas.tolist(), betas.tolist(), strict=True)):
            found[f"{label}/{edge}"] = share
            found |= {f"{label}/{edge}/{name}": weight for name, weight in zip(mix.names, row, strict=True)}
    return found


def skip_share(network: Network) -> float:
    """Share of skip connections among the operations that a discretization would keep."""
    kept = [mix.names[op] for mix in network.owned().values() for _, op in mix.best()]
    return kept.count(SKIP) / len(kept)


class Penalties:
    """Terms of the loss of the alphas alone.

    - ``beta_decay``: the mean over edges of the log-sum-exp of the alphas, whose weight grows linearly (Beta-DARTS, Ye
      et al. 2022, CVPR).
    - ``entropy``: the mean entropy of the operations of an edge, whose weight grows linearly, so that the alphas are
      sparse before they are discretized.
    - ``cost``: the expected multiply-adds relative to their mean over all operations.

    Parameters
    ----------
    network : Network
    job : Supernet
        Gives the weights of the terms.
    """

    def __init__(self, network: Network, job: Supernet) -> None:
        self.network, self.job = network, job
        self._costs: dict[str, Tensor] | None = None

    def gradients(self, alphas: Sequence[nn.Parameter], progress: float, shape: Sequence[int]) -> list[Tensor]:
        """Gradients of the sum of all terms with respect to `alphas`.

        Parameters
        ----------
        alphas : sequence of Parameter
        progress : float
            Share of the training that is done.
        shape : sequence of int
            Shape of a batch, (B, C, *S) or (B, T, C, *S).
        """
        job, owners = self.job, self.network.owned()
        total = torch.zeros((), device=alphas[0].device)
        if job.beta_decay:
            total = (
                total + job.beta_decay * progress * torch.cat([m.alphas.logsumexp(1) for m in owners.values()]).mean()
            )
        if job.entropy:
            logs = torch.cat([m.alphas.log_softmax(1) for m in owners.values()])
            total = total + job.entropy * progress * -(logs.exp() * logs).sum(1).mean()
        if job.cost:
            costs = self._costs = self._costs or self._find_costs(shape)
            expected = [(m.relaxed() * costs[i].to(total.device)).sum() for i, m in owners.items()]
            total = total + job.cost * sum(expected, start=torch.zeros_like(total))
        if not total.requires_grad:
            return [torch.zeros_like(p) for p in alphas]
        found = torch.autograd.grad(total, alphas, allow_unused=True)
        return [torch.zeros_like(p) if g is None else g for g, p in zip(found, alphas, strict=True)]

    def set_auxiliary(self, weight: float) -> None:
        """Add a `weight` to that of each skip connection, whatever its alpha."""
        for mix in self.network.owned().values():
            is_skip = [name == SKIP for name in mix.names[: mix.operations]] * mix.alphas.shape[0]
            mix.extra = weight * torch.tensor(is_skip, dtype=torch.float32, device=mix.alphas.device)

    def _find_costs(self, shape: Sequence[int]) -> dict[str, Tensor]:
        """Relative multiply-adds of the inputs of each owner and of the nodes that share its alphas."""
        size = (shape[1], *shape[3:]) if self.network.graph.clip else tuple(shape[2:])
        macs = {
            shaped.node.id: float(sum(layer.macs for layer in shaped.layers))
            for shaped in infer_shapes(self.network.graph, size)
        }
        found: dict[str, Tensor] = {}
        for node in self.network.graph.nodes:
            if node.op == "mix":
                label, own = str(node.option("label")), torch.tensor([macs[i] for i in node.inputs])
                found[label] = found[label] + own if label in found else own
        mean = torch.cat(list(found.values())).mean()
        return {label: costs / mean / len(found) for label, costs in found.items()}
