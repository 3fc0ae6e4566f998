"""The initial weights and the teachers of a training, from finished trainings in the store."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from voxnas.arch.families import expand
from voxnas.arch.graph import Graph
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.splits import Splits
from voxnas.core.training import Channels, Supernet, Teacher, Training, Weights
from voxnas.io.records import read_record
from voxnas.io.weights import load_weights
from voxnas.nn.pruning import channel_groups, channel_scores, kept_channels, random_scores, removed_classes
from voxnas.training.inference import load_trained
from voxnas.training.store import Entry


def _finished(paths: StudyPaths, source: str, job: Training) -> tuple[Entry, Training]:
    """Find a finished training in the store from which another training derives.

    Raises
    ------
    UserError
        If the source is not finished, has no weights, or has learnt from validation scans of the other training.
    """
    entry = Entry(paths.store / source)
    if not entry.finished() or not entry.weights.exists():
        raise UserError(f"{entry.folder} is not a finished training", "train it first")
    found = entry.training()
    if job.fold is not None and found.fold != job.fold:
        raise UserError(
            f"training {source} has learnt from scans of fold {job.fold}, which validates this training",
            f"start from a training of fold {job.fold}",
        )
    return entry, found


def load_teachers(
    paths: StudyPaths, job: Training, teacher: Teacher, device: torch.device
) -> dict[int | None, list[nn.Module]]:
    """Load the networks of a teacher in evaluation mode on a `device`.

    Returns
    -------
    dict of int or None to list of nn.Module
        The teachers of the scans of each fold, with ``out_of_fold``; otherwise the teachers of all scans under None.

    Raises
    ------
    UserError
        If a source is unfinished or has learnt from validation scans of the training, or if a fold has no teacher.
    """
    found: dict[int | None, list[nn.Module]] = {}
    for entry, training in (_finished(paths, source, job) for source in teacher.sources):
        network = load_trained(training.architecture, entry.weights).to(device)
        found.setdefault(training.fold if teacher.out_of_fold else None, []).append(network)
    if teacher.out_of_fold:
        for fold in range(len(read_record(paths.splits, Splits).folds)):
            if fold not in found:
                raise UserError(
                    f"no source of the teacher has left out fold {fold}", "raise training.seeds to the folds"
                )
    return found


def load_start(network: nn.Module, paths: StudyPaths, job: Training, start: Weights) -> None:
    """Load the weights of a finished training into a network; of a supernet, those that the network has.

    Raises
    ------
    UserError
        If the training is unfinished or has another fold, or if its weights do not fit the network.
    """
    entry, source = _finished(paths, start.source, job)
    tensors, _ = load_weights(entry.weights)
    kept = start.channels
    if start.criterion:
        graphs = expand(source.architecture), expand(job.architecture)
        kept = choose_channels(*graphs, tensors, start.criterion, job.seed)
    modules = dict(network.named_modules())
    if isinstance(source, Supernet):  # a discrete network has some of its operations
        tensors = {name: tensors[name] for name in network.state_dict() if name in tensors}
    try:
        for name, tensor in tensors.items():
            transposed = isinstance(modules.get(name.rpartition(".")[0]), nn.modules.conv._ConvTransposeNd)
            tensors[name] = narrow(tensor, channels_of(name, kept), transposed)
        network.load_state_dict(tensors)
    except (IndexError, RuntimeError) as error:
        raise UserError(f"{entry.weights} does not fit the network: {error}", "correct start.channels") from None


def choose_channels(
    wide: Graph, narrow: Graph, tensors: Mapping[str, Tensor], criterion: str, seed: int
) -> dict[str, Channels]:
    """Choose the channels that a narrower network keeps.

    Parameters
    ----------
    wide, narrow : Graph
        Networks with the same nodes.
    tensors : mapping of str to Tensor, (shape of the parameter)
        Weights of the wide network.
    criterion : str
        ``magnitude`` or ``random``.
    seed : int
        Seed of a random choice.
    """
    groups = channel_groups(wide)
    scores = random_scores(groups, seed) if criterion == "random" else channel_scores(wide, groups, tensors)
    return kept_channels(wide, groups, removed_classes(groups, scores, narrow))


def channels_of(name: str, channels: Mapping[str, Channels]) -> Channels:
    """Look up the `channels` of the layer of the tensor `name`, or of its innermost enclosing module with an entry."""
    while name and name not in channels:
        name = name.rpartition(".")[0]
    return channels.get(name, Channels())


def narrow(tensor: Tensor, channels: Channels, transposed: bool = False) -> Tensor:
    """Select the part of a layer's tensor that a narrower layer keeps.

    Parameters
    ----------
    tensor : Tensor, (outputs, inputs, ...), (outputs,) or ()
        A weight, which is (inputs, outputs, ...) for a transposed convolution; a vector; or a scalar, which is
        unchanged. A weight with one input channel, such as a depthwise one, keeps it.
    channels : Channels
        Channels to keep.
    transposed : bool
        Whether the layer is a transposed convolution.

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
