"""Discretization of a trained supernet: the operations that it keeps, and its score with these alone."""

import torch

from voxnas.arch.families.supernet import Kept
from voxnas.arch.views import network_divisor
from voxnas.core.paths import StudyPaths
from voxnas.core.spec import TrainSpec
from voxnas.core.training import Supernet
from voxnas.data.dataset import StudyData
from voxnas.io.records import read_record
from voxnas.io.weights import load_weights
from voxnas.nn.build import build_network
from voxnas.training.distributed.single import SingleBackend
from voxnas.training.metrics import Validation
from voxnas.training.store import Entry
from voxnas.training.targets import Targets
from voxnas.training.worker import training_scans


def discretize(paths: StudyPaths, job: Supernet, entry: Entry) -> tuple[Kept, float]:
    """Keep the strongest operation of each of the two strongest edges of each node, and validate.

    Parameters
    ----------
    paths : StudyPaths
    job : Supernet
        With a validation fold.
    entry : Entry
        The finished training of the job.

    Returns
    -------
    kept : dict
    score : float
        Validation score of the supernet with the kept operations alone and its own weights.
    """
    training = read_record(paths.spec("train"), TrainSpec).training
    torch.set_num_threads(training.threads)
    data = StudyData(paths, job.architecture.view, network_divisor(job.architecture))
    targets = Targets.of(data, training_scans(data, job)[0])
    network = build_network(job.architecture)
    network.load_state_dict(load_weights(entry.weights)[0])
    kept = {}
    for label, mix in network.owned().items():
        mix.kept = mix.best()
        kept[label] = tuple((edge, mix.names[op]) for edge, op in mix.kept)
    network.choose()
    assert job.fold is not None
    validate = Validation(data, data.validation_scans(job.fold), targets, training.precision)
    return kept, validate(network, SingleBackend())[0]
