"""Masks of the weights of a network that are fixed to 0."""

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
    tensors : mapping of str to Tensor, uint8, (shape of the parameter)
        Masks by the names of the network's parameters.
    network : nn.Module

    Raises
    ------
    UserError
        If a tensor matches no parameter of the network, or has another shape, type or value than a mask.
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
    """Write a mask (`tensors` in the shapes of the parameters) into the study; return its digest, used by trainings."""
    draft = paths.mask("draft")
    save_weights(draft, tensors)
    digest = file_digest(draft)
    draft.rename(paths.mask(digest))
    return digest


def read_mask(paths: StudyPaths, digest: str, network: nn.Module) -> Mask:
    """Read the mask with a `digest` for a network; a missing, damaged or unfit mask raises UserError."""
    path = paths.mask(digest)
    tensors, _ = load_weights(path)
    if file_digest(path) != digest:
        raise UserError(f"{path} does not have the digest in its name", "write the mask again")
    return Mask(tensors, network)
