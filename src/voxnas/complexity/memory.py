"""Peak memory of networks, each measured in its own process (``python -m voxnas.complexity.memory``).

A server process imports torch without starting a thread, and is forked for every request, so that each peak belongs
to a single network and torch is imported once. In the fork a tiny network first loads everything that any network
needs; then the high-water mark is reset. The result is the increment of the peak over the memory at that moment. In
training it includes the weights, their gradients and the optimizer's state. On a GPU its memory is measured.

By default glibc retains freed blocks of up to 32 MiB, and the amount depends on the order of deallocation: the peak of
the same step was measured 7 to 60 % higher, and varied by 20 % between processes. With a fixed threshold every large
tensor has its own mapping, which is returned on deallocation, and repeated measurements agree to 1 %. This minimum is
measured unless `held` is given. Training uses glibc's default, since page faults with a fixed threshold increased the
time by 50 %.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from voxnas.core.architecture import Architecture, parse_architecture

RETURNING = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # bytes; see above
MIB = 2**20


def measure_peak_memory(
    architecture: Architecture, shape: tuple[int, ...], training: bool, threads: int = 1, precision: str = "auto"
) -> float | None:
    """Measure the peak memory of one forward pass, or of one training step.

    Parameters
    ----------
    architecture : Architecture
    shape : tuple of int, (B, C, D, H, W)
        Shape of the input.
    training : bool
        Whether to measure a training step with AdamW; otherwise a forward pass without gradients.
    threads : int
        Threads of the process.
    precision : str
        See :func:`voxnas.nn.precision.resolve_precision`.

    Returns
    -------
    float or None
        MiB; None on a system without ``/proc``.

    Raises
    ------
    RuntimeError
        If the process fails or is killed, with the last line of its output.
    """
    (answer,) = measure_peaks([memory_request(architecture, shape, training, threads, precision)])
    if "error" in answer:
        raise RuntimeError(f"the measurement of memory failed: {answer['error']}")
    return answer["mib"]


def memory_request(
    architecture: Architecture, shape: Sequence[int], training: bool, threads: int = 1, precision: str = "auto"
) -> dict[str, Any]:
    """Return a request for :func:`measure_peaks`; the parameters are those of :func:`measure_peak_memory`."""
    return {
        "architecture": architecture.plain(),
        "shape": list(shape),
        "training": training,
        "threads": threads,
        "precision": precision,
    }


def measure_peaks(requests: Sequence[dict[str, Any]], held: bool = False) -> list[dict[str, Any]]:
    """Measure peaks one after the other.

    Parameters
    ----------
    requests : sequence of dict
        From :func:`memory_request`.
    held : bool
        Whether to include freed memory that the process retains, as in training.

    Returns
    -------
    list of dict
        For each request ``mib`` (None if it cannot be measured) or ``error``.

    Raises
    ------
    RuntimeError
        If the server process fails, with the last line of its output.
    """
    done = subprocess.run(
        [sys.executable, "-m", "voxnas.complexity.memory"],
        input="".join(json.dumps(request) + "\n" for request in requests),
        capture_output=True,
        text=True,
        env={**os.environ, **({} if held else RETURNING)},
    )
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    if len(answers) < len(requests):
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"the measurement of memory ended with status {done.returncode}: {last}")
    return answers


def _serve() -> None:
    """Fork for each request from the standard input and write each answer to one line."""
    import torch

    import voxnas.complexity.measured
    import voxnas.nn.build  # noqa: F401 - before the first fork

    torch.set_num_threads(1)  # a thread started here would be missing in the forks
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # loads the modules of the optimizers
    for line in sys.stdin:
        print(json.dumps(_in_fork(json.loads(line))), flush=True)


def _in_fork(request: dict[str, Any]) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            answer: dict[str, Any] = {"mib": _answer(request)}
        except BaseException as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"}
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(text) if text else {"error": f"killed, status {os.waitstatus_to_exitcode(status)}"}


def _status(field: str) -> float:
    """Return a field of this process's status in MiB."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(fields[field].split()[0]) / 1024


def _answer(request: dict[str, Any]) -> float | None:
    """Run the requested computation and return the increment in MiB."""
    import torch

    from voxnas.complexity.measured import training_step
    from voxnas.nn.build import build_network
    from voxnas.nn.device import compute_device
    from voxnas.nn.precision import autocast

    device = compute_device()
    cuda = device.type == "cuda"
    if not cuda and not Path("/proc/self/clear_refs").exists():
        return None
    torch.set_num_threads(request["threads"])
    tiny = torch.nn.Sequential(
        torch.nn.Conv3d(1, 2, 3, padding=1), torch.nn.InstanceNorm3d(2, affine=True), torch.nn.Conv3d(2, 2, 1)
    )
    training_step(tiny, (1, 1, 8, 8, 8), request["precision"])()  # loads the code that every network needs
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device) / MIB
    else:
        Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark (proc(5))
        before = _status("VmRSS")
    network = build_network(parse_architecture(request["architecture"]))
    if request["training"]:
        training_step(network, tuple(request["shape"]), request["precision"], settled=True)()
    else:
        network.to(device).eval()
        with torch.inference_mode(), autocast(request["precision"], device):
            network(torch.zeros(request["shape"], device=device))
    peak = torch.cuda.max_memory_allocated(device) / MIB if cuda else _status("VmHWM")
    return peak - before


if __name__ == "__main__":
    _serve()
