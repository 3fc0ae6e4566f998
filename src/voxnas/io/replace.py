"""Atomic writing: a file appears complete or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` when the context ends without an error.

    Readers see the old file or the complete new file. The folder is created; after an error no temporary file remains.

    Parameters
    ----------
    path : path
        File to write.

    Yields
    ------
    Path
        Path in the same folder, under which the caller writes the file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
