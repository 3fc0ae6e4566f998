"""The training of a proposal or a network, and the result of its outcome. Imports no torch."""

from collections.abc import Mapping
from typing import Any

from voxnas.arch.families import family_of
from voxnas.arch.views import input_size
from voxnas.complexity.analytic import analyze
from voxnas.core.calibration import Calibration
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.spec import TrainSpec
from voxnas.core.splits import Splits
from voxnas.core.training import FineTune, Fit, Training
from voxnas.core.trial import Network, Proposal, Result
from voxnas.data.digest import data_digest
from voxnas.io.records import read_plan, read_record
from voxnas.training.store import store_digest

SEARCH_FOLD = 0


def proposal_job(paths: StudyPaths, proposal: Proposal, earlier: Mapping[int, Proposal] = {}) -> Fit:
    """Compose the training of a proposal, on the search's fold and with the common seed of all trials of the study.

    Common random numbers: trials with the same seed, patches and validation fold differ by less noise than trials with
    separate seeds.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    proposal : Proposal
        The proposal to train.
    earlier : mapping of int to Proposal
        Steps that the proposal may continue; other steps are read from their folders.

    Raises
    ------
    UserError
        If the proposal has no architecture, or a step that it continues is missing.
    """
    if proposal.architecture is None or proposal.recipe is None:
        raise UserError(f"step {proposal.step} of {proposal.search} has nothing to train")
    restarts: list[int] = []
    number = proposal.resume_from
    while number is not None:
        step = earlier.get(number) or read_record(paths.step(proposal.search, number) / "proposal.json", Proposal)
        restarts.insert(0, step.samples)
        number = step.resume_from
    return Fit(
        architecture=proposal.architecture,
        recipe=proposal.recipe,
        fold=SEARCH_FOLD,
        seed=derive_seed(_root_seed(paths), "trial"),
        samples=proposal.samples,
        restarts=tuple(restarts),
    )


def network_job(paths: StudyPaths, network: Network, seed: int) -> Fit | FineTune:
    """Compose training number `seed` of a network, which validates on fold ``seed % folds``.

    A derived network starts from or learns from the trainings of the same number, which have the same fold. A refitted
    network trains on all folds; with out-of-fold teachers it learns from the trainings of all numbers.
    """
    folds = len(read_record(paths.splits, Splits).folds)
    fields: dict[str, Any] = {
        "architecture": network.architecture,
        "recipe": network.recipe,
        "fold": seed % folds,
        "seed": derive_seed(_root_seed(paths), "network", network.key, seed),
        "samples": max(network.samples, 1),
    }
    if network.derivation is None:
        return Fit(**fields)
    start, teacher, mask = network.derivation.start, network.derivation.teacher, network.derivation.mask
    if network.derivation.refit:
        fields["fold"] = None
    if teacher is not None:
        seeds = range(folds) if teacher.out_of_fold else [seed]
        sources = tuple(_stored(paths, key, number) for key in teacher.sources for number in seeds)
        teacher = teacher.model_copy(update={"sources": sources})
    fields |= {"teacher": teacher, "mask": mask}
    if start is None:
        return Fit(**fields)
    return FineTune(**fields, start=start.model_copy(update={"source": _stored(paths, start.source, seed)}))


def _stored(paths: StudyPaths, key: str, seed: int) -> str:
    """Digest in the store of training number `seed` of a network."""
    network = read_record(paths.network(key) / "network.json", Network)
    return store_digest(
        network_job(paths, network, seed), read_record(paths.spec("train"), TrainSpec), data_digest(paths)
    )


def compose_result(paths: StudyPaths, key: str, job: Training, outcome: dict[str, Any], store: str) -> Result:
    """Compose the result of a training, with the network's cost.

    Parameters
    ----------
    paths : StudyPaths
    key : str
        Identity of the network.
    job : Training
    outcome : dict
        State, and if known the reason, score, metrics and samples.
    store : str
        Digest of the training in the store; empty for a training without an entry.
    """
    plan = read_plan(paths.plan)
    size = input_size(job.architecture, plan)
    cost = analyze(job.architecture, size)
    seconds = None
    if paths.calibration.exists() and not family_of(job.architecture).fitted:
        from voxnas.complexity.calibration import predict_fixed_seconds, predict_sample_seconds

        calibration = read_record(paths.calibration, Calibration)
        rate = predict_sample_seconds(calibration, job.architecture, size, job.recipe.optimizer)
        fixed = (len(job.restarts) + 1) * predict_fixed_seconds(calibration, job.architecture, size)
        seconds = fixed + rate * outcome.get("samples", 0)
    fields = {name: outcome[name] for name in ("state", "reason", "score", "metrics", "samples") if name in outcome}
    costs = {"parameters": cost.parameters, "macs": cost.macs, "cpu_seconds": seconds}
    return Result(**fields, **costs, key=key, store=store)


def _root_seed(paths: StudyPaths) -> int:
    return read_record(paths.spec("train"), TrainSpec).seed
