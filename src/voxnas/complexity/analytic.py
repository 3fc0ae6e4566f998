"""Cost of an architecture from its layers, in milliseconds and without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from voxnas.arch.families import list_layers
from voxnas.core.architecture import Architecture


class Cost(NamedTuple):
    """Cost of a network for one sample.

    Attributes
    ----------
    parameters : int
        Learnt values, with the heads that only training uses.
    macs : int
        Multiply-adds of a forward pass.
    activations : int
        Output elements of all layers that compute (Radosavovic et al. 2020), which follow the
        memory and the time better than MACs do.
    """

    parameters: int
    macs: int
    activations: int


def analyze(architecture: Architecture, size: Sequence[int]) -> Cost:
    """Count a network's parameters, multiply-adds and activations.

    Parameters
    ----------
    architecture : Architecture
        What is built.
    size : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of the input, of a clip with its frames first; of the down-sampled input for the linear baseline.
    """
    parameters = macs = activations = 0
    for layer in list_layers(architecture, size):
        parameters += layer.parameters
        macs += layer.macs
        activations += layer.activations
    return Cost(parameters, macs, activations)
