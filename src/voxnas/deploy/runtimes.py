"""Run-times of a packaged model: their record in the model folder, and the choice of one for a prediction."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from voxnas.core.errors import UserError
from voxnas.core.record import Record
from voxnas.io.records import file_digest, read_record

FILE = "runtimes.json"
PACKAGES = {"onnx": "onnxruntime", "openvino": "openvino"}
ENDINGS = {"onnx": (".onnx",), "openvino": (".xml", ".bin")}
EXPORTER = "onnxscript"
INSTALL = "install the optional packages: make deploy, or pip install '.[deploy]' in the folder of Voxnas"
EXPORT_AGAIN = "export the model again: voxnas export MODEL"


class Parity(Record):
    """Largest deviation of an exported network from PyTorch in float32, over all members and test inputs."""

    agreement: Annotated[float, Field(ge=0, le=1)] = Field(description="Smallest share of equal predicted classes.")
    difference: Annotated[float, Field(ge=0)] = Field(
        description="Largest difference of an output, relative to the largest absolute output."
    )


class Latency(Record):
    """Time of a forward pass of the default member for one patch."""

    median_ms: float
    iqr_ms: float
    precision: str
    version: str


class Runtimes(Record):
    """Content of ``runtimes.json``: exports that agree with PyTorch, and the latency of each run-time."""

    schema_version: Literal[1] = 1
    opset: int = Field(description="Version of the ONNX operator set.")
    input: tuple[str | int, ...] = Field(description="Shape of the input; names are axes of any size.")
    device: dict[str, Any] = Field(description="Device of the latencies.")
    parity: dict[str, Parity] = Field(description="By run-time.")
    latency: dict[str, Latency] = Field(description="By run-time, PyTorch included.")
    digests: dict[str, str] = Field(description="SHA-256 of the exported files and of the weights they hold.")

    def by_latency(self) -> list[str]:
        """Names of the run-times, the fastest first."""
        return sorted(self.latency, key=lambda name: self.latency[name].median_ms)


def is_installed(runtime: str) -> bool:
    """Whether the package of a `runtime` is installed; PyTorch always is."""
    return runtime == "torch" or find_spec(PACKAGES[runtime]) is not None


def exportable() -> list[str]:
    """Names of the run-times to which this installation can export."""
    return [name for name in PACKAGES if find_spec(EXPORTER) and is_installed(name)]


def read_runtimes(folder: Path) -> Runtimes | None:
    """Read the exports of a model folder; None if it has none."""
    return read_record(folder / FILE, Runtimes, EXPORT_AGAIN) if (folder / FILE).exists() else None


def export_file(weights: Path, runtime: str) -> Path:
    """File that a `runtime` loads in place of the `weights` of a member, in the same folder."""
    return weights.with_name(weights.stem.replace("weights", "network") + ENDINGS[runtime][0])


def choose_runtime(folder: Path, asked: str) -> str:
    """Choose the run-time of a prediction.

    Parameters
    ----------
    folder : Path
        A model folder.
    asked : str
        ``torch``, ``onnx``, ``openvino``, or ``auto`` for the installed run-time with the lowest recorded latency; on a
        machine with a GPU ``auto`` is PyTorch.

    Raises
    ------
    UserError
        If the run-time asked for is not installed, or the folder has no export for it.
    """
    runtimes = read_runtimes(folder) if asked != "torch" else None
    if asked == "auto":
        if runtimes is None or _has_gpu():
            return "torch"
        return next((name for name in runtimes.by_latency() if is_installed(name)), "torch")
    if asked != "torch":
        if runtimes is None or asked not in runtimes.parity:
            raise UserError(f"{folder} has no export for --runtime {asked}", f"voxnas export {folder} --to {asked}")
        if not is_installed(asked):
            raise UserError(f"--runtime {asked}: {PACKAGES[asked]} is not installed", INSTALL)
    return asked


def check_exports(folder: Path, weights: Sequence[Path], runtime: str) -> list[Path]:
    """Return the exported files of members after a check of their digests.

    Parameters
    ----------
    folder : Path
        A model folder.
    weights : sequence of Path
        Weights of the members in the folder.
    runtime : str
        ``onnx`` or ``openvino``.

    Raises
    ------
    UserError
        If a file is missing, was changed, or was exported from other weights.
    """
    runtimes = read_runtimes(folder)
    exports = [export_file(file, runtime) for file in weights]
    files = [file.with_suffix(ending) for file in exports for ending in ENDINGS[runtime]]
    for file in (*weights, *files):
        if runtimes is None or not file.is_file() or file_digest(file) != runtimes.digests.get(file.name):
            raise UserError(f"{file} does not fit {folder / FILE} (SHA-256)", EXPORT_AGAIN)
    return exports


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
