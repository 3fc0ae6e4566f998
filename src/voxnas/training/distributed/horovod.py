"""Horovod, over gloo or as it was built: the only file that imports it."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from voxnas.core.errors import UserError
from voxnas.nn.device import compute_device
from voxnas.training.distributed.base import Backend, clip_and_step

try:
    import horovod.torch as hvd  # type: ignore[import-untyped]
except ImportError as error:
    raise UserError(
        f"Horovod is not installed for this Python and torch ({error})", "build it (see envs/), or use another launcher"
    ) from None


class HorovodBackend(Backend):
    """One process of a ``horovodrun``; on a GPU where Horovod was built with CUDA and each process has one."""

    def __init__(self) -> None:
        hvd.init()
        self.rank, self.size = hvd.rank(), hvd.size()
        gpus = torch.cuda.device_count() if hvd.cuda_built() else 0
        self.device = compute_device(hvd.local_rank()) if hvd.local_size() <= gpus else torch.device("cpu")

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Broadcast the weights and sum gradients while backward runs.

        The optimizer's state is not broadcast: on a fresh AdamW Horovod fills it by a hidden step with
        zero gradients, which decays the weights. All processes load the same saved state instead.
        """
        hvd.broadcast_parameters(network.state_dict(), root_rank=0)
        named = [(name, p) for name, p in network.named_parameters() if p.requires_grad]
        return network, hvd.DistributedOptimizer(optimizer, named_parameters=named, op=hvd.Sum)

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients; their sums are under way when this returns."""
        loss.backward()

    def step(self, optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
        """Wait for the sums, clip them, update the weights and forget the gradients."""
        optimizer.synchronize()  # type: ignore[attr-defined]
        with optimizer.skip_synchronize():  # type: ignore[attr-defined]
            clip_and_step(optimizer, clip_norm)
        optimizer.zero_grad()

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        return hvd.allreduce(values.to(self.device), op=hvd.Sum, name="values").to(values.device)

    def close(self) -> None:
        """Shut Horovod down."""
        hvd.shutdown()
