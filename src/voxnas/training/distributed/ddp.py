"""PyTorch's DistributedDataParallel, over NCCL between GPUs and over gloo otherwise."""

from __future__ import annotations

import os

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from voxnas.nn.device import compute_device
from voxnas.training.distributed.base import Backend, clip_and_step


class DDPBackend(Backend):
    """One process of a ``torchrun``."""

    def __init__(self) -> None:
        self.device = compute_device(int(os.environ["LOCAL_RANK"]))
        # NCCL refuses two processes on one GPU; gloo lets them share it.
        alone = int(os.environ["LOCAL_WORLD_SIZE"]) <= torch.cuda.device_count()
        dist.init_process_group("nccl" if self.device.type == "cuda" and alone else "gloo")
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Wrap the network, which broadcasts its weights and reduces gradients while backward runs."""
        return DistributedDataParallel(network), optimizer

    def backward(self, loss: Tensor) -> None:
        """Compute the gradients; DDP averages them, hence the factor."""
        (loss * self.size).backward()

    def step(self, optimizer: torch.optim.Optimizer, clip_norm: float) -> None:
        """Clip, update the weights and forget the gradients."""
        clip_and_step(optimizer, clip_norm)
        optimizer.zero_grad()

    def sum(self, values: Tensor) -> Tensor:
        """Sum over all processes."""
        total = values.to(self.device, copy=True)  # NCCL knows no tensors on the CPU
        dist.all_reduce(total)
        return total.to(values.device)

    def close(self) -> None:
        """Leave the process group."""
        dist.destroy_process_group()
