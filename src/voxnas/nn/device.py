"""The device of a network: one rule for training, inference and measurements."""

import torch
from torch import nn

from voxnas.core.host import processor_name


def compute_device(local_rank: int = 0) -> torch.device:
    """Return a GPU if one is available, otherwise the CPU.

    The GPU becomes the current device of the process, as NCCL and Horovod require.

    Parameters
    ----------
    local_rank : int
        Rank of the process on its host; the processes take the GPUs of the host in turn.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    device = torch.device("cuda", local_rank % torch.cuda.device_count())
    torch.cuda.set_device(device)
    return device


def device_of(network: nn.Module) -> torch.device:
    """Device of a network's weights; the CPU for a network without weights."""
    return next((p.device for p in network.parameters()), torch.device("cpu"))


def device_name(device: torch.device) -> str:
    """Return the name of the GPU or of the processor that a device refers to."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()


def synchronize(device: torch.device) -> None:
    """Wait until a device has finished all submitted computations; on a CPU return at once."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
