"""Searches that train a supernet of all operations of the cells and discretize it: options and procedure.

The alphas and the weights of the supernet learn from separate folds; the fold of the search validates. The two
strongest edges of each node are kept with their strongest operations (DARTS, Liu et al. 2019, ICLR). The network of
cells is then trained from fresh weights with the budget of one trial, whose score is the search score. The result also
states the scores of the supernet before discretization (``relaxed``) and with the kept operations alone and inherited
weights (``inherited``), since discretization can fail.
"""

import json
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any

from pydantic import Field

from voxnas.arch.families.cells.space import OPERANDS, edge_sources
from voxnas.arch.families.supernet import Kept, MixedCells, discrete_graph
from voxnas.arch.search_space import Config, SearchSpace
from voxnas.core.architecture import Architecture
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.splits import Splits
from voxnas.core.training import FineTune, Supernet, Weights
from voxnas.core.trial import Proposal
from voxnas.io.records import read_record
from voxnas.search.base import Finding, Job, SearchState, Trainer
from voxnas.search.feasible import Candidate
from voxnas.training.jobs import SEARCH_FOLD, proposal_job

SKELETON = ("in_channels", "out_channels", "widths", "strides", "kernels", "norm", "activation", "cells", "decoder")


class GradientSearch(Job):
    """A gradient search over the cells of a space ``cells-cnn`` or ``cells-unet``, in the skeleton of its start."""

    trials: float = Field(16.0, gt=0, description="Cost of the supernet, as a multiple of the budget of one trial.")
    fine_tune: float = Field(
        0.0, ge=0, description="Trials' budgets for a training of the kept operations from the supernet's weights."
    )
    alpha_learning_rate: float = Field(3e-3, gt=0, description="Adam's learning rate of the alphas.")
    alpha_weight_decay: float = Field(1e-3, ge=0, description="Weight decay of the alphas.")
    alpha_every: int = Field(1, ge=1, description="Steps of the weights for each step of the alphas.")
    warm_up: float = Field(0.2, ge=0, lt=1, description="Share of the training before the first step of the alphas.")
    beta_decay: float = Field(0.0, ge=0, description="Final weight of the log-sum-exp of the alphas (Beta-DARTS).")
    entropy: float = Field(0.0, ge=0, description="Final weight of the entropy of the operations of an edge.")
    cost: float = Field(0.0, ge=0, description="Weight of the expected multiply-adds in the loss of the alphas.")
    most_skips: float = Field(
        1.0, gt=0, le=1, description="The alphas stop when this share of the best operations are skips (DARTS+)."
    )

    def budgets(self) -> float:
        """The supernet, the network of cells, and the further training of the supernet's weights."""
        return self.trials + 1 + (self.fine_tune if self.partial() == 1 else 0)

    @abstractmethod
    def relaxation(self) -> dict[str, Any]:
        """Fields of the training of the supernet that define the method."""

    def partial(self) -> int:
        """The operations take one in so many channels."""
        return 1

    @abstractmethod
    def work(self, supernet: MixedCells) -> float:
        """Passes over the whole supernet that a step of the weights and its share of a step of the alphas cost."""

    def __call__(self, state: SearchState, paths: StudyPaths, trainer: Trainer) -> Iterable[Finding]:
        """Train the supernet, discretize it and train the network of cells."""
        space, plan = state.feasible.space, state.feasible.plan
        start = space.start(plan, state.feasible.limits)
        given = state.feasible.candidate(start)
        supernet = make_supernet(space, given.architecture, self.partial())
        folds = len(read_record(paths.splits, Splits).folds)
        others = [fold for fold in range(folds) if fold != SEARCH_FOLD]
        if len(others) < 2:
            raise UserError(
                f"splits.folds = {folds}: a gradient search needs a fold to validate, one for the alphas and one for "
                "the weights",
                "set splits.folds to 3 or more",
            )
        common: dict[str, Any] = {"recipe": given.recipe, "fold": SEARCH_FOLD}
        job = Supernet(
            architecture=supernet,
            **common,
            seed=derive_seed(state.seed, "supernet"),
            samples=state.budget(Candidate({}, supernet, given.recipe), self.trials / self.work(supernet)),
            alpha_folds=tuple(others[: len(others) // 2]),
            **{
                name: getattr(self, name) for name in GradientSearch.model_fields if name not in ("trials", "fine_tune")
            },
            **self.relaxation(),
        )
        relaxed = trainer.train(job)
        if relaxed.failure:
            raise UserError(
                f"the training of the supernet failed ({relaxed.failure}), so that the search has no network",
                "lower alpha_learning_rate or the learning rate, or set --recompute for less memory",
            )
        kept, inherited = trainer.discretize(job, relaxed.digest)
        candidate = state.feasible.candidate(with_cells(space, start, kept))
        if not state.feasible.admits(candidate):
            raise UserError(
                "the network that the supernet leaves exceeds search.limits", "raise the limits, or lower base_width"
            )
        # The training of a proposal of any other search, so that all have the same seed and patches.
        fields = {"architecture": candidate.architecture, "recipe": candidate.recipe}
        proposal = Proposal(search="", step=0, trial="", origin="", samples=state.budget(candidate), **fields)
        trial = proposal_job(paths, proposal)
        trained = trainer.train(trial)
        scores = {"relaxed": relaxed.score, "inherited": inherited}
        runs = [relaxed, trained]
        samples = job.samples + trial.samples
        if self.fine_tune and self.partial() == 1:
            further = FineTune(
                architecture=discrete_graph(supernet, kept),
                **common,
                seed=trial.seed,
                samples=state.budget(candidate, self.fine_tune),
                start=Weights(source=relaxed.digest),
            )
            runs.append(trainer.train(further))
            scores["fine_tuned"], samples = runs[-1].score, samples + further.samples
        yield Finding(
            candidate,
            score=trained.score,
            metrics={**trained.metrics, **{name: s for name, s in scores.items() if s is not None}},
            samples=samples,
            failure=trained.failure,
            files={
                "curve.tsv": trained.curve,
                "alphas.tsv": relaxed.curve,
                "run.json": json.dumps({"cpu_seconds": sum(run.cpu_seconds for run in runs)}),
            },
        )


def make_supernet(space: SearchSpace, start: Architecture, partial: int = 1) -> MixedCells:
    """The supernet of all cells of a space in the skeleton of its network `start`.

    Parameters
    ----------
    space : SearchSpace
    start : Architecture
    partial : int
        The operations take one in so many channels.

    Raises
    ------
    UserError
        If the space is not one of cells, or `partial` does not divide the widths of the network.
    """
    if space.family.name not in ("cells-cnn", "cells-unet"):
        raise UserError(
            f"{space.source}: a gradient search needs a space of the family cells-cnn or cells-unet, "
            f"not {space.family.name}",
            "choose another search.space",
        )
    fields, cell = {name: getattr(start, name) for name in SKELETON}, space.structure["cell"]
    if any(width % partial for width in fields["widths"]):
        raise UserError(
            f"partial = {partial} does not divide the widths {list(fields['widths'])} of the start of {space.source}",
            "change search.options.pc_darts.partial_channels, or base_width and growth",
        )
    return MixedCells(**fields, nodes=cell["nodes"], operations=tuple(cell["operations"]), partial=partial)


def with_cells(space: SearchSpace, start: Config, kept: Kept) -> Config:
    """The configuration `start` with the `kept` edges and operations of each node, such as ``normal.0``."""
    values = dict(start)
    sources = edge_sources(space.structure["cell"]["nodes"])
    for label, inputs in kept.items():
        for operand, (edge, operation) in zip(OPERANDS, inputs, strict=True):
            values[f"{label}.{operand}.op"] = operation
            values[f"{label}.{operand}.from"] = sources[edge]
    space.validate(values)
    return values


def active_share(supernet: MixedCells, operations: int, edges: int) -> float:
    """Share of the operations of a `supernet` that a sample of `operations` of each of so many `edges` computes."""
    count = sum(op != "zero" for op in supernet.operations)
    every = sum(2 + node for node in range(supernet.nodes)) * count
    return sum(min(edges, 2 + node) for node in range(supernet.nodes)) * min(operations, count) / every
