"""Weights: tensors with text metadata in one safetensors file, written atomically."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from voxnas.io.tensors import open_tensors, saving

if TYPE_CHECKING:
    from torch import Tensor


def save_weights(path: str | Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None) -> None:
    """Write named tensors atomically.

    Parameters
    ----------
    path : path
        File to write; its folder is created.
    tensors : mapping of str to Tensor
        Tensors of any shape; views and tensors with shared storage are copied.
    metadata : mapping of str to str, optional
        Strings stored in the header of the file.
    """
    from safetensors.torch import save_file

    copies = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    with saving(path) as temporary:
        save_file(copies, temporary, metadata=dict(metadata or {}))


def load_weights(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a file written by :func:`save_weights`.

    Returns
    -------
    tensors : dict of str to Tensor
    metadata : dict of str to str

    Raises
    ------
    UserError
        If the file is missing or damaged.
    """
    with open_tensors(path, "pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118
