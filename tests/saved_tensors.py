"""Memory that a forward pass keeps for backward: measured, and predicted."""

import torch
from torch import nn

from voxnas.arch.graph import Graph
from voxnas.complexity.memory_model import _Replay
from voxnas.nn.precision import autocast


def measured_bytes(network: nn.Module, x: torch.Tensor, bf16: bool) -> int:
    """Bytes of the tensors that autograd saves, each once, without the weights and their casts."""
    weights = {p.untyped_storage().data_ptr() for p in (*network.parameters(), *network.buffers())}
    found, alive = {}, []

    def pack(x):
        storage = x.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
            alive.append(x)  # so that no address is used twice
        return x

    with autocast("bf16" if bf16 else "float32"), torch.autograd.graph.saved_tensors_hooks(pack, lambda x: x):
        network(x)
    return sum(found.values()) - (2 * sum(p.numel() for p in network.parameters()) if bf16 else 0)


def predicted_bytes(graph: Graph, size: tuple[int, ...], batch: int, bf16: bool) -> float:
    """Bytes that the memory model has kept when the forward pass ends."""
    chains = _Replay(graph, size, batch, bf16, cuda=False).chains.values()
    return sum(step.kept for chain in chains for step in chain.steps)
