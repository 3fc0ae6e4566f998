"""Where a network computes: one rule for training, inference and measurements."""

from __future__ import annotations

import torch
from torch import nn

from voxnas.core.host import processor_name


def compute_device(local_rank: int = 0) -> torch.device:
    """A GPU where there is one, else the CPU.

    The GPU becomes the process's current one, as NCCL and Horovod need.

    Parameters
    ----------
    local_rank : int
        Number of the process on its host; the processes take the host's GPUs in turn.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def device_of(network: nn.Module) -> torch.device:
    """Device of a network's weights; the CPU for one without."""
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def device_name(device: torch.device) -> str:
    """Return the name of a device: of the GPU, or of the processor."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()


def synchronize(device: torch.device) -> None:
    """Wait until a device has computed all that it was given; a CPU always has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
