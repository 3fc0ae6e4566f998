"""PyTorch's DistributedDataParallel, over NCCL between GPUs and over gloo otherwise."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from voxnas.nn.device import compute_device
from voxnas.training.distributed.base import Backend
from voxnas.training.distributed.exchange import Exchange


class DDPBackend(Backend):
    """One process of a ``torchrun``, or of a step of Slurm's with the same environment.

    Parameters
    ----------
    exchange : Exchange
        Compression and fusion of the gradients.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.device = compute_device(int(os.environ["LOCAL_RANK"]))
        # NCCL refuses two processes on one GPU; gloo lets them share it.
        alone = int(os.environ["LOCAL_WORLD_SIZE"]) <= torch.cuda.device_count()
        dist.init_process_group("nccl" if self.device.type == "cuda" and alone else "gloo")
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Wrap the network, which broadcasts its weights and reduces gradients while backward runs."""
        model = DistributedDataParallel(network, bucket_cap_mb=self.exchange.fusion_mb)
        if self.exchange.compression == "fp16":
            model.register_comm_hook(None, fp16_compress_hook)
        self._model = model
        return model, optimizer

    def part(self, last: bool) -> AbstractContextManager[None]:
        """Keep the gradients of all parts but the last to this process."""
        return nullcontext() if last else self._model.no_sync()

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients; DDP averages them, hence the factor."""
        (loss * self.size).backward()

    def begin_sum(self, values: Tensor) -> Callable[[], Tensor]:
        """Begin to sum over all processes."""
        total = values.to(self.device, copy=True)  # NCCL knows no tensors on the CPU
        work = dist.all_reduce(total, async_op=True)

        def wait() -> Tensor:
            work.wait()
            return total.to(values.device)

        return wait

    def close(self) -> None:
        """Leave the process group."""
        dist.destroy_process_group()
