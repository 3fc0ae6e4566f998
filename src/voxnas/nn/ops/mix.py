"""Module of :mod:`voxnas.arch.primitives.mix`: operations weighted by alphas, all of them or a sample."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from voxnas.arch.graph import Node
from voxnas.arch.primitives.mix import operations_shape
from voxnas.nn.ops.base import MODULES

NARROW = 1e-3  # standard deviation of fresh alphas (Liu et al. 2019)
KEPT_EDGES = 2  # of a node, after discretization


@dataclass(frozen=True)
class Draw:
    """A sample of the operations of a node.

    Attributes
    ----------
    operations : Tensor, (edges, sampled), integer
        Alphas of each edge, in ascending order; the last alpha may belong to ``zero``.
    edges : Tensor, (sampled edges,), integer
        In ascending order.
    noise : Tensor, (edges, alphas)
        Gumbel noise of the alphas.
    edge_noise : Tensor, (edges,)
        Gumbel noise of the betas.
    temperature : float
    hard : bool
        Whether the weights are 1 in the forward pass (straight-through; GDAS, Dong and Yang 2019, CVPR).
    """

    operations: Tensor
    edges: Tensor
    noise: Tensor
    edge_noise: Tensor
    temperature: float
    hard: bool


@MODULES.register("mix")
class Mix(nn.Module):
    """Weighted sum of operations.

    Attributes
    ----------
    label : str
        Name of the alphas, such as ``normal.0``.
    operations : int
        Number of inputs of each edge.
    names : list of str
        Name of the operation of each alpha of an edge.
    alphas : Parameter, (edges, alphas)
        Absent in a node that shares the alphas of another.
    betas : Parameter, (edges,)
        Likewise.
    draw : Draw or None
        Sample that the forward pass in training mode computes; None: all operations. Belongs to the owner of the
        alphas.
    kept : sequence of (edge, operation) or None
        The chosen operations of a discretized node, in both modes; None: not discretized.
    extra : Tensor or None
        Weights (edges * operations,) that a forward pass in training mode without a draw adds, such as an auxiliary
        skip connection's (DARTS-, Chu et al. 2021, ICLR). Belongs to the owner of the alphas.
    """

    def __init__(self, node: Node, channels: Sequence[int]) -> None:
        super().__init__()
        edges, alphas = operations_shape(node)
        self.label = str(node.option("label"))
        self.operations, self.bypass = len(node.inputs) // edges, bool(node.option("bypass"))
        self.names = [name.rpartition(".")[2] for name in node.inputs[: self.operations]]
        self.names += ["zero"] * (alphas - self.operations)
        self._owner: tuple[Mix, ...] = ()
        self.draw: Draw | None = None
        self.kept: tuple[tuple[int, int], ...] | None = None
        self.extra: Tensor | None = None
        if not node.option("alphas"):
            self.alphas = nn.Parameter(NARROW * torch.randn(edges, alphas))
            self.betas = nn.Parameter(NARROW * torch.randn(edges))

    @property
    def owner(self) -> "Mix":
        """The node that has the alphas."""
        return self._owner[0] if self._owner else self

    def share(self, owner: "Mix") -> None:
        """Use the alphas of the `owner`, without registering it as a part."""
        self._owner = (owner,)

    def chosen(self, training: bool) -> tuple[int, ...] | None:
        """Numbers of the inputs that the forward pass in `training` mode or evaluation mode needs; None: all."""
        owner, count = self.owner, self.operations
        if owner.kept is not None:
            return tuple(edge if self.bypass else edge * count + op for edge, op in owner.kept)
        if training and owner.draw is not None:
            draw = owner.draw
            if self.bypass:
                return tuple(map(int, draw.edges))
            return tuple(int(e) * count + int(op) for e in draw.edges for op in draw.operations[e] if op < count)
        return None

    def sample(self, generator: torch.Generator, operations: int, edges: int, temperature: float, hard: bool) -> Draw:
        """Draw operations of each edge, and edges, without replacement (Gumbel top-k; Kool et al. 2019, ICML).

        The best operation of an edge that has an output is always part of its sample.

        Parameters
        ----------
        generator : Generator
        operations, edges : int
            Number of operations of an edge, and of edges.
        temperature : float
        hard : bool
            See :class:`Draw`.
        """
        alphas, betas = self.alphas.detach().cpu(), self.betas.detach().cpu()
        noise, edge_noise = (
            -(-torch.rand(x.shape, generator=generator).clamp(1e-9, 1 - 1e-7).log()).log() for x in (alphas, betas)
        )
        noisy = alphas.log_softmax(1) + noise
        best = noisy[:, : self.operations].argmax(1, keepdim=True)
        found = noisy.scatter(1, best, torch.inf).topk(min(operations, noisy.shape[1]), 1).indices.sort(1).values
        kept = (betas.log_softmax(0) + edge_noise).topk(min(edges, len(betas))).indices.sort().values
        device = self.alphas.device
        return Draw(found.to(device), kept.to(device), noise.to(device), edge_noise.to(device), temperature, hard)

    def best(self) -> tuple[tuple[int, int], ...]:
        """The strongest operation, other than ``zero``, of each of the strongest edges, as (edge, operation) by edge.

        An edge is as strong as the weight of its strongest operation. Of equal ones, the first declared is taken.
        """
        strength = self.betas.detach().softmax(0)[:, None] * self.alphas.detach().softmax(1)
        best = [max(range(self.operations), key=row.__getitem__) for row in strength.tolist()]
        edges = sorted(range(len(best)), key=lambda edge: -float(strength[edge, best[edge]]))
        return tuple((edge, best[edge]) for edge in sorted(edges[:KEPT_EDGES]))

    def relaxed(self) -> Tensor:
        """Weights of all inputs without a sample, (N,)."""
        alphas, betas = self.owner.alphas, self.owner.betas
        edges = min(KEPT_EDGES, len(betas)) * betas.softmax(0)
        return edges if self.bypass else (edges[:, None] * alphas.softmax(1))[:, : self.operations].flatten()

    def weights(self) -> Tensor:
        """Weights of the inputs that the forward pass needs, in their order, (N,).

        An edge has the weight ``n softmax(betas)`` with the number `n` of edges that a discrete node keeps, so that the
        kept edges of a decided node have the weight 1 as in a discrete network.
        """
        owner = self.owner
        if owner.kept is not None:
            return torch.ones(len(owner.kept), device=owner.alphas.device)
        draw = owner.draw if self.training else None
        if draw is None:
            weights = self.relaxed()
            return weights if owner.extra is None or self.bypass or not self.training else weights + owner.extra
        alphas, betas = owner.alphas, owner.betas
        noisy, edges = (alphas.log_softmax(1) + draw.noise) / draw.temperature, draw.edges
        noisy_edges = (betas.log_softmax(0) + draw.edge_noise) / draw.temperature
        if self.bypass:
            weights = len(edges) * noisy_edges[edges].softmax(0)
            return 1 + weights - weights.detach() if draw.hard else weights
        if draw.hard:
            weights = noisy_edges.softmax(0)[edges, None] * noisy.softmax(1).gather(1, draw.operations)[edges]
            weights = 1 + weights - weights.detach()
        else:
            share = noisy.gather(1, draw.operations).softmax(1)[edges]
            weights = len(edges) * noisy_edges[edges].softmax(0)[:, None] * share
        return weights[draw.operations[draw.edges] < self.operations]

    def forward(self, *inputs: Tensor) -> Tensor:
        """Sum the `inputs` (B, C, *S) that :meth:`chosen` lists."""
        weights = self.weights()
        total = weights[0] * inputs[0]
        for weight, x in zip(weights[1:], inputs[1:], strict=True):
            total = total + weight * x
        return total
