"""A safetensors file that is written tensor by tensor, so that memory does not grow with their number.

The library's own ``save_file`` wants all tensors at once, and copies them. The format is a length, a JSON header and
the bytes (https://huggingface.co/docs/safetensors); any reader of it reads these files.
"""

from __future__ import annotations

import json
import os
import shutil
import struct
import tempfile
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

NAMES = {"float32": "F32", "float16": "F16", "uint8": "U8"}


class TensorWriter:
    """Writes tensors to a safetensors file, which appears when the context ends well.

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
        """Append a tensor of type float32, float16 or uint8; ValueError if the name was used."""
        if name in self._header:
            raise ValueError(f"{self.path}: two tensors {name!r}")
        begin = self._bytes.tell()
        self._bytes.write(np.ascontiguousarray(array).tobytes())
        offsets = [begin, self._bytes.tell()]
        self._header[name] = {"dtype": NAMES[array.dtype.name], "shape": list(array.shape), "data_offsets": offsets}

    def _finish(self) -> None:
        header = json.dumps(self._header, separators=(",", ":")).encode()
        header += b" " * (-len(header) % 8)
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            with temporary.open("wb") as file:
                file.write(struct.pack("<Q", len(header)) + header)
                self._bytes.seek(0)
                shutil.copyfileobj(self._bytes, file, 1 << 20)
            os.replace(temporary, self.path)
        finally:
            temporary.unlink(missing_ok=True)
