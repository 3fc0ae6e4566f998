"""Construction of a network with fresh weights from an architecture record."""

from torch import nn

from voxnas.arch.families import expand
from voxnas.core.architecture import Architecture
from voxnas.nn.network import Network


def build_network(architecture: Architecture) -> Network:
    """Build the network of an architecture, initialised from torch's global generator.

    Raises
    ------
    ValueError
        For the linear baseline, which :mod:`voxnas.training.linear` fits in closed form.
    """
    network = Network(expand(architecture))
    network.apply(initialize)
    return network


def initialize(module: nn.Module) -> None:
    """Initialise one layer: He et al. (2015) for convolutions, a narrow normal distribution for linear layers."""
    if isinstance(module, nn.modules.conv._ConvNd):
        nn.init.kaiming_normal_(module.weight, a=0.01)
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    else:
        return
    if module.bias is not None:
        nn.init.zeros_(module.bias)
