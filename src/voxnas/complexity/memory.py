"""Peak memory of networks, each in a process of its own: ``python -m voxnas.complexity.memory`` reads requests.

One process imports torch and starts no thread; it is forked for every request, so that each peak is
one network's alone and costs no second import. In the fork the high-water mark is reset after
everything that any network needs was loaded by a tiny one, and the increment over the memory at that
moment is the answer. In training it holds the weights, their gradients and the optimizer's state.
Where there is a GPU, its memory is the one that counts.

By default glibc keeps freed memory of up to 32 MiB for later, and how much depends on the order in which
it was freed: the peak of one and the same step was measured at 7 to 60 % more, and 20 % apart from one process to the
next. With a fixed threshold every large tensor has its own mapping, which is returned when it is freed, and
repeated measurements agree to a percent: that is what a network *needs*, and what is measured unless `held` is asked
for. Training keeps glibc's default, for the page faults of a fixed threshold took half again as long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from voxnas.core.architecture import Architecture, parse_architecture

RETURNING = {"MALLOC_MMAP_THRESHOLD_": "131072"}  # bytes; see above
MIB = 2**20


def measure_peak_memory(
    architecture: Architecture, shape: tuple[int, ...], training: bool, threads: int = 1, precision: str = "auto"
) -> float | None:
    """Peak memory of one forward pass, or of one training step.

    Parameters
    ----------
    architecture : Architecture
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
    (answer,) = measure_peaks([memory_request(architecture, shape, training, threads, precision)])
    if "error" in answer:
        raise RuntimeError(f"measuring the memory ended: {answer['error']}")
    return answer["mib"]


def memory_request(
    architecture: Architecture, shape: Sequence[int], training: bool, threads: int = 1, precision: str = "auto"
) -> dict[str, Any]:
    """A request for :func:`measure_peaks`; see :func:`measure_peak_memory` for the parameters."""
    return {
        "architecture": architecture.plain(),
        "shape": list(shape),
        "training": training,
        "threads": threads,
        "precision": precision,
    }


def measure_peaks(requests: Sequence[dict[str, Any]], held: bool = False) -> Iterator[dict[str, Any]]:
    """Answer requests one after the other: ``mib`` (None where it cannot be measured) or ``error`` of each.

    With `held`, freed memory that the process keeps counts too, as it does in training.

    Raises
    ------
    RuntimeError
        If the process that is forked fails itself, with its last line.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "voxnas.complexity.memory"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **({} if held else RETURNING)},
    )
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    with process:
        answered = 0
        try:
            process.stdin.write("".join(json.dumps(request) + "\n" for request in requests))
            process.stdin.close()
        except BrokenPipeError:
            pass
        for line in process.stdout:
            answered += 1
            yield json.loads(line)
        if answered < len(requests):
            last = (process.stderr.read().strip().splitlines() or ["no message"])[-1]
            raise RuntimeError(f"measuring the memory ended with status {process.wait()}: {last}")


def _serve() -> None:
    """Fork for each request on the standard input; write one answer a line."""
    import torch

    import voxnas.complexity.measured
    import voxnas.nn.build  # noqa: F401 - before the first fork

    torch.set_num_threads(1)  # a thread started here would be missing in the forks
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])  # imports what optimizers need
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
    if not cuda and not Path("/proc/self/clear_refs").exists():
        return None
    torch.set_num_threads(request["threads"])
    tiny = torch.nn.Sequential(
        torch.nn.Conv3d(1, 2, 3, padding=1), torch.nn.InstanceNorm3d(2, affine=True), torch.nn.Conv3d(2, 2, 1)
    )
    training_step(tiny, (1, 1, 8, 8, 8), request["precision"])()  # loads what every network needs
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
