"""The weights with which a training starts, and the networks that teach it: finished trainings in the store."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.training import Channels, Teacher, Training, Weights
from voxnas.io.weights import load_weights
from voxnas.training.inference import load_trained
from voxnas.training.store import Entry


def _finished(paths: StudyPaths, source: str, job: Training) -> tuple[Entry, Training]:
    """A training of the store that another one builds on.

    Raises
    ------
    UserError
        If it is not finished, has no weights, or validates on another fold: then it has seen scans on which the
        other one is validated.
    """
    entry = Entry(paths.store / source)
    if not entry.finished() or not entry.weights.exists():
        raise UserError(f"{entry.folder} is no finished training", "train it first")
    found = entry.training()
    if found.fold != job.fold:
        raise UserError(
            f"training {source} has learnt from scans of fold {job.fold}, on which this one is validated",
            f"start from one of fold {job.fold}",
        )
    return entry, found


def load_teachers(paths: StudyPaths, job: Training, teacher: Teacher, device: torch.device) -> list[nn.Module]:
    """The networks that teach a training, in evaluation mode on a device; values they predict standardised."""
    found = []
    for source in teacher.sources:
        entry, training = _finished(paths, source, job)
        found.append(load_trained(training.architecture, entry.weights).to(device))
    return found


def load_start(network: nn.Module, paths: StudyPaths, job: Training, start: Weights) -> None:
    """Give a network the weights of a finished training.

    Raises
    ------
    UserError
        If the training is unfit (another fold, not finished), or its weights do not fit the network.
    """
    entry, _ = _finished(paths, start.source, job)
    tensors, _ = load_weights(entry.weights)
    modules = dict(network.named_modules())
    try:
        for name, tensor in tensors.items():
            transposed = isinstance(modules.get(name.rpartition(".")[0]), nn.modules.conv._ConvTransposeNd)
            tensors[name] = narrow(tensor, channels_of(name, start.channels), transposed)
        network.load_state_dict(tensors)
    except (IndexError, RuntimeError) as error:
        raise UserError(f"{entry.weights} does not fit the network: {error}", "mend start.channels") from None


def channels_of(name: str, channels: Mapping[str, Channels]) -> Channels:
    """Channels of the layer of the tensor of a name, or of the innermost module around it that has any."""
    while name and name not in channels:
        name = name.rpartition(".")[0]
    return channels.get(name, Channels())


def narrow(tensor: Tensor, channels: Channels, transposed: bool = False) -> Tensor:
    """The part of a layer's tensor that a narrower layer keeps.

    Parameters
    ----------
    tensor : Tensor
        A weight (outputs, inputs, ...), of a transposed convolution (inputs, outputs, ...); a vector (outputs,); or a
        number, which stays. A weight with one input channel, such as a depthwise one, keeps it.
    channels : Channels
    transposed : bool
        Of the layer.

    Returns
    -------
    Tensor
    """
    if tensor.ndim == 0:
        return tensor
    outputs_axis = 1 if transposed and tensor.ndim > 1 else 0
    if channels.outputs is not None:
        tensor = tensor.index_select(outputs_axis, torch.tensor(channels.outputs))
    if channels.inputs is not None and tensor.ndim > 1 and tensor.shape[1 - outputs_axis] > 1:
        tensor = tensor.index_select(1 - outputs_axis, torch.tensor(channels.inputs))
    return tensor
