"""Masks: which weights of a network are 0 and stay so."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.io.records import file_digest
from voxnas.io.weights import load_weights, save_weights


class Mask:
    """Tensors of 0 and 1 by which parameters are multiplied.

    Parameters
    ----------
    tensors : mapping of str to Tensor, uint8
        Keyed by names of the network's parameters, each of the parameter's shape.
    network : nn.Module

    Raises
    ------
    UserError
        If a tensor is of no parameter of the network, of another shape or type, or has other values than 0 and 1.
    """

    def __init__(self, tensors: Mapping[str, Tensor], network: nn.Module) -> None:
        parameters = dict(network.named_parameters())
        for name, tensor in tensors.items():
            if name not in parameters or tensor.shape != parameters[name].shape:
                raise UserError(f"mask {name}, {tuple(tensor.shape)}: no parameter of the network fits it")
            if tensor.dtype is not torch.uint8 or tensor.max() > 1:
                raise UserError(f"mask {name}: {tensor.dtype} up to {tensor.max()} is not 0 and 1 in uint8")
        self._pairs = [(parameters[name], tensor) for name, tensor in tensors.items()]

    @torch.no_grad()
    def apply(self) -> None:
        """Set the masked weights to 0."""
        for parameter, mask in self._pairs:
            parameter.mul_(mask.to(parameter.device))


def write_mask(paths: StudyPaths, tensors: Mapping[str, Tensor]) -> str:
    """Write a mask into the study and return its digest, by which trainings name it."""
    draft = paths.mask("draft")
    save_weights(draft, tensors)
    digest = file_digest(draft)
    draft.rename(paths.mask(digest))
    return digest


def read_mask(paths: StudyPaths, digest: str, network: nn.Module) -> Mask:
    """Read the mask of a digest for a network; a UserError if it is missing, damaged or of another network."""
    path = paths.mask(digest)
    tensors, _ = load_weights(path)
    if file_digest(path) != digest:
        raise UserError(f"{path} does not have the digest in its name", "write the mask again")
    return Mask(tensors, network)
