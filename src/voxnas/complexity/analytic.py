"""Analytic cost of an architecture, computed from its layers without torch."""

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
        Number of parameters, including heads that are used in training only.
    macs : int
        Multiply-adds of a forward pass.
    activations : int
        Output elements of all layers with arithmetic (Radosavovic et al. 2020), which correlate with memory and time
        more closely than MACs.
    """

    parameters: int
    macs: int
    activations: int


def analyze(architecture: Architecture, size: Sequence[int]) -> Cost:
    """Count a network's parameters, multiply-adds and activations.

    Parameters
    ----------
    architecture : Architecture
    size : sequence of int, (D, H, W) or (T, D, H, W)
        Voxels of the input, of a clip with the frames first; for the linear baseline, of the down-sampled input.
    """
    layers = list(list_layers(architecture, size))
    return Cost(*(sum(getattr(layer, name) for layer in layers) for name in Cost._fields))
