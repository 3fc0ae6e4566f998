"""Peak memory of a network, in a process of its own: ``python -m voxnas.complexity.memory`` reads a request.

In a fresh process the peak is the network's alone. The high-water mark is reset after torch is
imported and warm, and the increment over the memory at that moment is the answer; it holds the
weights, and in training their gradients and the optimizer's state. Where there is a GPU, its
memory is the one that counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from voxnas.core.architecture import CNN, UNet, parse_architecture


def measure_peak_memory(
    architecture: UNet | CNN, shape: tuple[int, ...], training: bool, threads: int = 1, precision: str = "auto"
) -> float | None:
    """Peak memory of one forward pass, or of one training step.

    Parameters
    ----------
    architecture : UNet or CNN
        What is built.
    shape : tuple of int, (B, C, D, H, W)
        Input.
    training : bool
        A step of AdamW with its backward pass, in place of a forward pass without gradients.
    threads : int
        Threads of the process.
    precision : str
        As in :func:`voxnas.nn.precision.resolve_precision`.

    Returns
    -------
    float or None
        MiB; None on a system without ``/proc``.

    Raises
    ------
    RuntimeError
        If the process fails or is killed, with its last line.
    """
    request = {
        "architecture": architecture.plain(),
        "shape": list(shape),
        "training": training,
        "threads": threads,
        "precision": precision,
    }
    done = subprocess.run(
        [sys.executable, "-m", "voxnas.complexity.memory"], input=json.dumps(request), capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"measuring the memory ended with status {done.returncode}: {last}")
    return json.loads(done.stdout)


def _status(field: str) -> float:
    """A field of this process's status, in MiB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def _answer(request: dict[str, Any]) -> float | None:
    """Run what is asked for and return the increment in MiB."""
    import torch

    from voxnas.complexity.measured import training_step
    from voxnas.nn.build import build_network
    from voxnas.nn.device import compute_device
    from voxnas.nn.precision import autocast

    device = compute_device()
    cuda = device.type == "cuda"
    if not cuda and not Path("/proc/self/status").exists():
        return None
    torch.set_num_threads(request["threads"])
    with autocast(request["precision"], device):  # loads what every network needs
        torch.nn.Conv3d(1, 1, 3).to(device)(torch.zeros(1, 1, 8, 8, 8, device=device)).sum().backward()
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) / 2**20
    else:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark (proc(5))
        before = _status("VmRSS")
    network = build_network(parse_architecture(request["architecture"]))
    if request["training"]:
        training_step(network, tuple(request["shape"]), request["precision"])()
    else:
        network.to(device).eval()
        with torch.inference_mode(), autocast(request["precision"], device):
            network(torch.zeros(request["shape"], device=device))
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if cuda else _status("VmHWM")
    return peak - before


if __name__ == "__main__":
    print(json.dumps(_answer(json.load(sys.stdin))))
