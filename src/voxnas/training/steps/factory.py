"""Construction of the step of a training from the kind of its record."""

import torch
from torch import nn

from voxnas.core.paths import StudyPaths
from voxnas.core.spec import EffectiveTraining
from voxnas.core.splits import Splits
from voxnas.core.training import Supernet, Training
from voxnas.io.records import read_record
from voxnas.training.sampling.base import Sampler
from voxnas.training.start import load_teachers
from voxnas.training.steps.base import Step
from voxnas.training.steps.bilevel import Bilevel
from voxnas.training.steps.distillation import Distillation
from voxnas.training.steps.supervised import Supervised
from voxnas.training.targets import Targets


def make_step(
    paths: StudyPaths,
    job: Training,
    training: EffectiveTraining,
    network: nn.Module,
    targets: Targets,
    sampler: Sampler,
    alpha_sampler: Sampler | None,
    device: torch.device,
) -> Step:
    """Make the step of a training: bilevel for a supernet, distillation with a teacher, supervised otherwise.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    job : Training
    training : EffectiveTraining
        Its precision and label smoothing are used.
    network : nn.Module
        The network to train.
    targets : Targets
        Coding of the targets of the training.
    sampler : Sampler
        Samples of the training.
    alpha_sampler : Sampler or None
        Samples for the alphas of a supernet.
    device : device
        Device of the training.
    """
    loss = (job.recipe.loss, training.large_batch.label_smoothing if training.large_batch else 0.0)
    if isinstance(job, Supernet):
        assert alpha_sampler is not None  # the record of a supernet names the folds of its alphas
        return Bilevel(*loss, network, job, sampler, alpha_sampler)
    if job.teacher is not None:
        folds = read_record(paths.splits, Splits).parts()
        return Distillation(
            *loss,
            load_teachers(paths, job, job.teacher, device),
            job.teacher.temperature,
            job.teacher.weight,
            training.precision,
            targets,
            (lambda sample: folds[sampler.scan_of(sample)]) if job.teacher.out_of_fold else None,
        )
    return Supervised(*loss)
