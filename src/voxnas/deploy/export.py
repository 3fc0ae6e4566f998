"""Export of packaged networks to ONNX and OpenVINO, with a check of their outputs against PyTorch."""

import logging
import os
import tempfile
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voxnas.arch.families import family_of
from voxnas.arch.views import input_shape
from voxnas.complexity.measured import device_record, measure_latency, spread_of
from voxnas.core.errors import UserError
from voxnas.core.plan import Plan
from voxnas.core.trial import Network
from voxnas.deploy.package import ModelRecord, weights_name
from voxnas.deploy.runtimes import (
    ENDINGS,
    EXPORTER,
    FILE,
    INSTALL,
    PACKAGES,
    Latency,
    Parity,
    Runtimes,
    export_file,
    exportable,
)
from voxnas.io.records import file_digest, read_plan, read_record, write_json
from voxnas.io.weights import load_weights
from voxnas.nn.precision import precision_name
from voxnas.training.inference import divisor_of, load_trained, target_scale

OPSET = 20
AGREEMENT = 0.9999  # smallest share of equal classes
DIFFERENCE = 1e-3  # largest relative difference of an output
ROUNDS = 5  # timed passes of each run-time, in turns
_ATEN = torch.ops.aten
_POOLS = [pool.default for pool in (_ATEN.adaptive_avg_pool1d, _ATEN.adaptive_avg_pool2d, _ATEN.adaptive_avg_pool3d)]


class ExportedNetwork(nn.Module):
    """An exported network as a module that computes float32 on the processor.

    Parameters
    ----------
    file : Path
        ``.onnx`` for ONNX Runtime, ``.xml`` for OpenVINO.
    threads : int
        Threads of a forward pass.
    divisor : 3 ints
        Divisor of the size of an input.
    scale : tuple of float
        Mean and standard deviation of the target (:func:`voxnas.training.inference.target_scale`).
    """

    def __init__(
        self,
        file: Path,
        threads: int,
        divisor: Sequence[int] = (1, 1, 1),
        scale: tuple[float, float] = (0.0, 1.0),
    ) -> None:
        super().__init__()
        self.divisor, self.target_scale = tuple(divisor), scale
        self._run = (_open_onnx if file.suffix == ".onnx" else _open_openvino)(file, threads)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the output for x (B, C, *S)."""
        return torch.from_numpy(self._run(x.float().cpu().numpy()))


def load_exported(file: Path, weights: Path, threads: int, divisor: Sequence[int]) -> ExportedNetwork:
    """Load an exported network (:class:`ExportedNetwork`: `file`, `threads`, `divisor`).

    The scale of a regression is read from the `weights` of the member.
    """
    return ExportedNetwork(file, threads, divisor, target_scale(load_weights(weights)[1]))


def _open_onnx(file: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: session.run(None, {name: x})[0]


def _open_openvino(file: Path, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    import openvino

    # Processors with bfloat16 would compute in it without the hint.
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "ENABLE_CPU_PINNING": False}
    request = openvino.Core().compile_model(str(file), "CPU", settings).create_infer_request()
    return lambda x: request.infer([x])[0].copy()


def export_onnx(network: nn.Module, shape: Sequence[int], file: Path, any_size: bool) -> tuple[str | int, ...]:
    """Write a network as ONNX.

    Parameters
    ----------
    network : Module
        In evaluation mode, on the CPU.
    shape : sequence of int
        Shape of an input, (B, C, *S) with any B.
    file : Path
        File to write.
    any_size : bool
        Whether the last three axes also have any size that the divisor of the network divides, not the batch alone.

    Returns
    -------
    tuple of str or int
        Shape of the input; names are axes of any size.

    Raises
    ------
    UserError
        If an operator of the network has no counterpart in ONNX.
    """
    dim = torch.export.Dim
    axes: dict[int, Any] = {0: dim.DYNAMIC}
    names: dict[int, str] = {0: "batch"}
    if any_size:
        first, divisor = len(shape) - 3, divisor_of(network)
        for axis, letter in enumerate("DHW"):
            d = divisor[axis]
            axes[first + axis] = dim.DYNAMIC if d == 1 else d * dim(letter, min=1)
            names[first + axis] = letter if d == 1 else f"{d}*{letter}"
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    example = torch.zeros(2, *shape[1:])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(network, (example,), dynamic_shapes=(axes,), strict=False)
            program = program.run_decompositions(dict.fromkeys(_POOLS, adaptive_average))
            written = torch.onnx.export(program, dynamo=True, opset_version=OPSET, verbose=False)
            assert written is not None
            written.save(file)
    except Exception as error:  # PyTorch's exporter raises errors of any type
        raise UserError(f"the network cannot be exported to ONNX: {_reason(error)}", "use --runtime torch") from error
    return tuple(names.get(axis, size) for axis, size in enumerate(shape))


def _reason(error: BaseException) -> str:
    """First line of the error that caused an `error`; for an operator without a counterpart it has its name."""
    while cause := error.__cause__ or error.__context__:
        error = cause
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def adaptive_average(x: Tensor, size: Sequence[int]) -> Tensor:
    """Adaptive average pooling of x (B, C, *S) to cells of the given `size` by means over slices, for ONNX."""
    for axis, cells in enumerate(size, start=x.ndim - len(size)):
        n = x.shape[axis]
        if n == cells:
            continue
        bounds = [(i * n // cells, -(-(i + 1) * n // cells)) for i in range(cells)]
        x = torch.cat([x.narrow(axis, low, high - low).mean(axis, keepdim=True) for low, high in bounds], axis)
    return x


def convert_openvino(onnx: Path, file: Path) -> None:
    """Convert an ONNX file to OpenVINO's representation in float32, `file` (.xml) with its weights beside it (.bin).

    Raises
    ------
    UserError
        If OpenVINO lacks an operator.
    """
    import openvino

    try:
        openvino.save_model(openvino.Core().read_model(str(onnx)), str(file), compress_to_fp16=False)
    except RuntimeError as error:  # an operator that OpenVINO lacks
        raise UserError(f"OpenVINO refuses the network: {_reason(error)}", "use --runtime torch") from error


@torch.inference_mode()
def compare_outputs(network: nn.Module, exported: nn.Module, inputs: Sequence[Tensor]) -> Parity:
    """Compare the outputs (B, K, *S) of an exported network with those of PyTorch in float32.

    An output that is not finite has a relative difference of 1.

    Parameters
    ----------
    network, exported : Module
    inputs : sequence of Tensor, (B, C, *S)
    """
    equal, difference = [], 0.0
    for x in inputs:
        expected, found = network(x), exported(x)
        equal.append(float((expected.argmax(1) == found.argmax(1)).float().mean()))
        relative = (expected - found).abs().max() / expected.abs().max().clamp(min=1e-12)
        difference = max(difference, float(relative.nan_to_num(nan=1.0, posinf=1.0)))
    return Parity(agreement=min(equal), difference=difference)


def compare_exported(network: nn.Module, file: Path, threads: int, inputs: Sequence[Tensor]) -> Parity:
    """Compare the outputs of an exported file with those of PyTorch; the file stays open for this comparison only.

    Parameters
    ----------
    network : Module
    file : Path
    threads : int
        See :class:`ExportedNetwork`.
    inputs : sequence of Tensor, (B, C, *S)

    Raises
    ------
    UserError
        If the run-time refuses the file or an input.
    """
    try:
        return compare_outputs(network, ExportedNetwork(file, threads), inputs)
    except Exception as error:  # the run-times raise errors of their own types
        raise UserError(
            f"{file.name}: the run-time refuses the network: {_reason(error)}", "use --runtime torch"
        ) from error


def check_parity(parity: Parity, runtime: str) -> None:
    """Raise a UserError if the outputs of a `runtime` differ from those of PyTorch by more than rounding (`parity`)."""
    if parity.agreement < AGREEMENT or parity.difference > DIFFERENCE:
        raise UserError(
            f"the export for {runtime} differs from PyTorch: {100 * parity.agreement:.3f} % equal classes (at least "
            f"{100 * AGREEMENT:.2f} %), relative difference {parity.difference:.1e} (at most {DIFFERENCE:.0e})",
            "use --runtime torch",
        )


def random_inputs(shape: Sequence[int], divisor: Sequence[int], any_size: bool) -> list[Tensor]:
    """Return smooth random inputs: a batch of one of the given `shape`, and a batch of two, larger if that is possible.

    Parameters
    ----------
    shape : sequence of int
        (B, C, *S).
    divisor : 3 ints
    any_size : bool
        As in :func:`export_onnx`.
    """
    larger = [n + d for n, d in zip(shape[-3:], divisor, strict=True)] if any_size else shape[-3:]
    generator = torch.Generator().manual_seed(0)
    found = []
    for batch, size in ((1, shape[-3:]), (2, larger)):
        noise = torch.randn((batch, *shape[1:-3], *size), generator=generator)
        flat = noise.reshape(-1, 1, *size)
        smooth = F.avg_pool3d(F.pad(flat, (1,) * 6), 3, 1).reshape(noise.shape)
        found.append(smooth / smooth.std() + 0.1 * noise)
    return found


def write_exports(folder: Path, names: Sequence[str]) -> Runtimes:
    """Export all members of a model folder, check them against PyTorch, and measure the latency of each run-time.

    Parameters
    ----------
    folder : Path
        A model folder. Nothing in it changes if an export fails.
    names : sequence of str
        ``onnx``, ``openvino``.

    Returns
    -------
    Runtimes
        Content of ``runtimes.json``.

    Raises
    ------
    UserError
        If a package is not installed, an operator has no counterpart, or the outputs differ.
    """
    for name in names:
        if name not in exportable():
            raise UserError(f"export to {name} requires {PACKAGES[name]} and {EXPORTER}", INSTALL)
    record = read_record(folder / "model.json", ModelRecord)
    architecture = read_record(folder / "architecture.json", Network).architecture
    if family_of(architecture).fitted:
        raise UserError(f"{record.name}: a linear model has no export", "use --runtime torch")
    plan: Plan = read_plan(folder / "plan.json")
    any_size = plan.task == "segmentation"
    shape = input_shape(architecture, plan, 1)
    torch.set_num_threads(record.threads)
    parity: dict[str, Parity] = {}
    timed: dict[str, nn.Module] = {}
    with tempfile.TemporaryDirectory(prefix=".export-", dir=folder) as scratch:
        for seed in record.members:
            weights = Path(scratch) / weights_name(seed)
            network = load_trained(architecture, folder / weights.name).cpu()
            divisor = divisor_of(network)
            onnx = export_file(weights, "onnx")
            named = export_onnx(network, shape, onnx, any_size)
            inputs = random_inputs(shape, divisor, any_size)
            for name in names:
                file = export_file(weights, name)
                if name == "openvino":
                    convert_openvino(onnx, file)
                found = compare_exported(network, file, record.threads, inputs)
                check_parity(found, name)
                before = parity.get(name, found)
                parity[name] = Parity(
                    agreement=min(before.agreement, found.agreement),
                    difference=max(before.difference, found.difference),
                )
                if seed == record.default:
                    timed |= {"torch": network, name: ExportedNetwork(file, record.threads)}
        latency = _measure(timed, shape, record.precision)
        files = [p for p in sorted(Path(scratch).iterdir()) if any(p.suffix in ENDINGS[name] for name in names)]
        for file in files:
            os.replace(file, folder / file.name)
    signed = [*(folder / file.name for file in files), *(folder / weights_name(seed) for seed in record.members)]
    runtimes = Runtimes(
        opset=OPSET,
        input=named,
        device=device_record(record.threads, record.precision),
        parity=parity,
        latency=latency,
        digests={file.name: file_digest(file) for file in sorted(signed)},
    )
    write_json(folder / FILE, runtimes)
    return runtimes


def _measure(networks: dict[str, nn.Module], shape: Sequence[int], precision: str) -> dict[str, Latency]:
    """Measure networks in turns; PyTorch in its own `precision`, the others in float32."""
    times: dict[str, list[float]] = {name: [] for name in networks}
    for _ in range(ROUNDS):
        for name, network in networks.items():
            found = measure_latency(network, tuple(shape), 1, warmup=1, precision=precision)
            times[name].append(found["median_ms"] / 1e3)
    latency = {}
    for name, seconds in times.items():
        spread = spread_of(seconds)
        latency[name] = Latency(
            median_ms=spread["median_ms"],
            iqr_ms=spread["iqr_ms"],
            precision=precision_name(precision) if name == "torch" else "float32",
            version=version(PACKAGES.get(name, name)),
        )
    return latency
