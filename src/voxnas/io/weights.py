"""Weights: tensors with text metadata in one safetensors file, written under a temporary name and renamed."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from voxnas.core.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor


def save_weights(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors; a reader sees the old file or the new one, never a part.

    Parameters
    ----------
    path : path
        File to write; its folder is made.
    tensors : mapping of str to Tensor
        Of any shapes; views and shared storage are copied apart.
    metadata : mapping of str to str, optional
        Texts kept in the file's header.
    """
    from safetensors.torch import save_file

    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    apart = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    try:
        save_file(apart, temporary, metadata=dict(metadata or {}))
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read what :func:`save_weights` wrote.

    Returns
    -------
    tensors : dict of str to Tensor
    metadata : dict of str to str

    Raises
    ------
    UserError
        If the file is missing or damaged; names it.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError:
        raise UserError(f"{path} does not exist", "train the network first") from None
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path} is not a readable safetensors file: {error}", "delete it and train again") from None
