"""PyTorch's DistributedDataParallel, by NCCL between GPUs and by gloo otherwise."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import fp16_compress_hook
from torch.nn.parallel import DistributedDataParallel

from voxnas.nn.device import compute_device
from voxnas.training.distributed.base import Backend, T
from voxnas.training.distributed.exchange import Exchange


class DDPBackend(Backend):
    """One process of ``torchrun``, or of a Slurm step with the same environment.

    Parameters
    ----------
    exchange : Exchange
        Compression and fusion of the gradients.
    """

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.device = compute_device(int(os.environ["LOCAL_RANK"]))
        # NCCL refuses two processes on one GPU; gloo allows them.
        alone = int(os.environ["LOCAL_WORLD_SIZE"]) <= torch.cuda.device_count()
        dist.init_process_group("nccl" if self.device.type == "cuda" and alone else "gloo")
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Wrap the network, so that it broadcasts its weights and reduces gradients during the backward pass."""
        # A supernet does not compute the operations that it has not sampled.
        sampled = bool(getattr(network, "mixes", None))
        model = DistributedDataParallel(network, bucket_cap_mb=self.exchange.fusion_mb, find_unused_parameters=sampled)
        if self.exchange.compression == "fp16":
            model.register_comm_hook(None, fp16_compress_hook)
        self._model = model
        return model, optimizer

    def part(self, last: bool) -> AbstractContextManager[None]:
        """Exchange gradients only with the last part."""
        return nullcontext() if last else self._model.no_sync()

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients; the factor converts DDP's mean to a sum."""
        (loss * self.size).backward()

    def begin_sum(self, values: Tensor) -> Callable[[], Tensor]:
        """Begin the sum of `values` (any shape) over all processes."""
        total = values.to(self.device, copy=True)  # NCCL does not support tensors on the CPU
        work = dist.all_reduce(total, async_op=True)

        def wait() -> Tensor:
            work.wait()
            return total.to(values.device)

        return wait

    def broadcast(self, value: T) -> T:
        """Return the `value` of process 0."""
        values = [value]
        dist.broadcast_object_list(values, src=0, device=self.device)
        return values[0]

    def close(self) -> None:
        """Leave the process group."""
        dist.destroy_process_group()
