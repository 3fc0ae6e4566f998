"""From an architecture record to a network with fresh weights."""

from __future__ import annotations

from torch import nn

from voxnas.arch.families import expand
from voxnas.core.architecture import Architecture
from voxnas.nn.network import Network


def build_network(architecture: Architecture) -> Network:
    """Build the network of an architecture, initialised from torch's global generator.

    Raises
    ------
    ValueError
        For the linear baseline, which is not a network and is fitted in closed form elsewhere.
    """
    network = Network(expand(architecture))
    network.apply(initialize)
    return network


def initialize(module: nn.Module) -> None:
    """Set the weights of one layer: He et al. (2015) for convolutions, small ones for the linear layer."""
    if isinstance(module, nn.modules.conv._ConvNd):
        nn.init.kaiming_normal_(module.weight, a=0.01)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
