"""Weights of a network with removed channels: zeros in their place, and the weights of the narrower network."""

import torch
from torch import nn

from voxnas.core.training import Channels
from voxnas.training.start import narrow


def _parts(network, channels):
    for name, tensor in network.state_dict().items():
        layer = name.rpartition(".")[0]
        transposed = isinstance(network.get_submodule(layer), nn.modules.conv._ConvTransposeNd)
        yield name, tensor, channels.get(layer, Channels()), transposed


def zero_removed(network, channels):
    """Set all weights of the channels that are not kept to 0, after a shift of norms and biases as by a training."""
    for name, tensor, kept, transposed in _parts(network, channels):
        if tensor.ndim == 1 and "running_" not in name:
            tensor += 0.3 * torch.randn_like(tensor)
        first = int(transposed and tensor.ndim > 1)
        for axis, own in ((first, kept.outputs), (1 - first, kept.inputs)):
            if own is not None and axis < tensor.ndim and tensor.shape[axis] > 1:
                removed = sorted(set(range(tensor.shape[axis])) - set(own))
                tensor.index_fill_(axis, torch.tensor(removed), 0)


def narrow_weights(network, channels):
    """The weights of the kept channels, as a training starts from them."""
    return {name: narrow(tensor, kept, transposed) for name, tensor, kept, transposed in _parts(network, channels)}
