"""Writing of safetensors files tensor by tensor, with memory independent of the number of tensors.

``save_file`` of the library requires all tensors at once and copies them. The format consists of a length, a JSON
header and the bytes (https://huggingface.co/docs/safetensors).
"""

from __future__ import annotations

import json
import shutil
import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from voxnas.core.errors import UserError
from voxnas.io.records import REWRITE
from voxnas.io.replace import replacing

NAMES = {"float32": "F32", "float16": "F16", "uint8": "U8"}


def open_tensors(path: str | Path, framework: str) -> Any:
    """Open a safetensors file of tensors for `framework` ("pt", "np"); UserError if it is missing or damaged."""
    try:
        return safe_open(path, framework=framework)
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "run the stage that writes it") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}", REWRITE) from None


@contextmanager
def saving(path: str | Path) -> Iterator[Path]:
    """As :func:`voxnas.io.replace.replacing`, for a file that the library of safetensors writes."""
    try:
        with replacing(path) as temporary:
            temporary.touch()
            mode = temporary.stat().st_mode
            yield temporary
            temporary.chmod(mode)  # the library makes files that only their owner can read
    except SafetensorError as error:
        raise UserError(f"{path} cannot be written: {error}") from None


class TensorWriter:
    """Context that writes tensors to a safetensors file, which appears when the context ends without an error.

    Parameters
    ----------
    path : path
        File to write.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._bytes = tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115 (closed by __exit__)
        self._header: dict[str, dict[str, object]] = {}

    def __enter__(self) -> TensorWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if kind is None:
            self._finish()
        self._bytes.close()

    def add(self, name: str, array: NDArray) -> None:
        """Append a tensor of type float32, float16 or uint8; ValueError if the name is taken."""
        if name in self._header:
            raise ValueError(f"{self.path}: duplicate tensor {name!r}")
        begin = self._bytes.tell()
        self._bytes.write(np.ascontiguousarray(array).tobytes())
        offsets = [begin, self._bytes.tell()]
        self._header[name] = {"dtype": NAMES[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}

    def _finish(self) -> None:
        header = json.dumps(self._header, separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        with replacing(self.path) as temporary, temporary.open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            self._bytes.seek(0)
            shutil.copyfileobj(self._bytes, file, 1 << 20)
