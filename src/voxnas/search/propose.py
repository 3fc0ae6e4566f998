"""The step chain: proposal k depends on the proposals 0 .. k-1 and the results 0 .. k-W only.

Results newer than k-W are not read, even if they exist. Therefore the same files give the same bytes, independently of
the times of arrival. The records are the complete state of a search.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Self

from voxnas.arch.baselines import BASELINES
from voxnas.arch.search_space import SearchSpace
from voxnas.arch.views import input_size
from voxnas.complexity.calibration import samples_of
from voxnas.complexity.placement import Worker
from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.calibration import Calibration
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.plan import Plan
from voxnas.core.seeds import derive_seed
from voxnas.core.spec import SearchSpec
from voxnas.core.trial import Proposal
from voxnas.io.records import read_plan, read_record
from voxnas.search.base import Observation, Promotion, Proposer, SearchState, Strategy, Suggestion
from voxnas.search.chain import Chain, read_chain
from voxnas.search.feasible import Candidate, FeasibleSpace
from voxnas.search.objectives import soft_constraint_reward


def make_proposal(paths: StudyPaths, search: str, step: int) -> Proposal:
    """Propose one step of a search in strict order from the study's files.

    Reads the files of :meth:`Search.read` and the records of the chain.

    Parameters
    ----------
    paths : StudyPaths
        The study.
    search : str
        Name of the search.
    step : int
        Number of the step, from 0.

    Raises
    ------
    UserError
        If one of the files is missing or damaged, or the search is in order of arrival.
    """
    inputs = Search.read(paths, search)
    window = inputs.spec.search.window
    if inputs.spec.search.order == "arrival":
        raise UserError(
            f"search.order = 'arrival': step {step} of {search} makes its proposal itself", "run the rule step"
        )
    assert window is not None  # every search of single steps in strict order has one
    return inputs.propose(read_chain(paths, search, step, max(0, step - window + 1)), step)


def study_calibration(paths: StudyPaths) -> Calibration | None:
    """Read the calibration for budgets and limits; None if the study has none."""
    return read_record(paths.calibration, Calibration) if paths.calibration.exists() else None


@dataclass(frozen=True)
class Search:
    """Records on which all proposals of one search depend.

    Attributes
    ----------
    spec : SearchSpec
    plan : Plan
        Plan of the study.
    calibration : Calibration or None
        Calibration of the study, if a limit or a budget requires one.
    """

    spec: SearchSpec
    plan: Plan
    calibration: Calibration | None = None

    @classmethod
    def read(cls, paths: StudyPaths, search: str) -> Self:
        """Read ``spec/search-<search>.json``, the plan and, if it exists, the calibration of a study.

        Raises
        ------
        UserError
            If one of the files is missing or damaged.
        """
        spec = read_record(paths.spec(f"search-{search}"), SearchSpec)
        return cls(spec, read_plan(paths.plan), study_calibration(paths))

    @cached_property
    def feasible(self) -> tuple[FeasibleSpace, Candidate | None]:
        """Networks that may be proposed, and the given first trial, if any.

        The first trial is the published baseline, or with `start` the hand-made plan unless it exceeds a limit.
        """
        spec, plan, limits = self.spec, self.plan, self.spec.search.limits
        source = f"search.space = {spec.search.space!r}"
        if spec.baseline is not None:
            architecture, recipe = BASELINES[spec.baseline](plan, limits)
            space = SearchSpace.recipes_of(spec.space, source)
            feasible = FeasibleSpace(space, plan, limits, self.calibration, architecture)
            return feasible, baseline_candidate(feasible, architecture, recipe)
        feasible = FeasibleSpace(SearchSpace.from_dict(spec.space, source), plan, limits, self.calibration)
        if not spec.search.start:
            return feasible, None
        given = feasible.candidate(feasible.space.start(plan, limits))
        return feasible, given if feasible.admits(given) else None

    @property
    def objectives(self) -> tuple[str, ...]:
        """Objectives of the search; the architecture of a baseline is fixed, and with it the costs."""
        return self.spec.search.objectives if self.spec.baseline is None else ("score",)

    def state(self, chain: Chain, step: int, worker: Worker | None = None) -> SearchState:
        """Return the knowledge of a strategy at one step (parameters: see :meth:`propose`)."""
        budget, calibration = self.spec.search.budget, self.calibration

        def samples(candidate: Candidate, share: float = 1.0) -> int:
            architecture, optimizer = candidate.architecture, candidate.recipe.optimizer
            size = input_size(architecture, self.plan)
            return samples_of(budget, calibration, architecture, size, optimizer, share)

        # With soft constraints the only objective is the reward.
        targets = self.spec.search.targets if self.spec.baseline is None else {}
        history = chain.observations()
        return SearchState(
            feasible=self.feasible[0],
            history=tuple(map(self._rewarded, history)) if targets else history,
            pending=chain.pending(),
            step=step,
            seed=derive_seed(self.spec.seed, "search", self.spec.name),
            budget=samples,
            worker=worker,
            objectives=("score",) if targets else self.objectives,
            prior=self.spec.prior,
        )

    def _rewarded(self, step: Observation) -> Observation:
        """Replace the scores of a finished step and of its curve by their rewards."""
        if step.score is None:
            return step
        targets, amount = self.spec.search.targets, self.feasible[0].amount
        costs = {name: amount(step.candidate.architecture, name) for name in targets}

        def rewarded(scores: Mapping[str, float], name: str) -> dict[str, float]:
            found = {name: soft_constraint_reward(scores[name], costs, targets)} if name in scores else {}
            return {**scores, **found}

        return replace(
            step,
            scores=rewarded(step.scores, "score"),
            read_curve=lambda: tuple(rewarded(row, "val_score") for row in step.curve),
        )

    def propose(self, chain: Chain, step: int, worker: Worker | None = None) -> Proposal:
        """Propose one step.

        Parameters
        ----------
        chain : Chain
            The finished and the pending steps.
        step : int
            Number of the step.
        worker : Worker, optional
            Free node in `order: arrival`. Apart from the first trial and hand-made networks, only trials that fit its
            time are begun or continued.

        Raises
        ------
        ValueError
            If the strategy continues a step that is not finished or already has a continuation.
        """
        state = self.state(chain, step, worker)
        suggestion = self._strategy()(state)
        identity = {"search": self.spec.name, "step": step}
        trial = f"{self.spec.name}-{step}"
        if suggestion is None:
            return Proposal(**identity, trial=trial, origin="idle")
        identity |= {"origin": suggestion.origin, "note": suggestion.note, "resumable": suggestion.resumable}
        if suggestion.candidate is None:
            before = suggestion.continue_step
            earlier = next((p for p, _ in chain.finished() if p.step == before), None)
            if earlier is None or before in state.continued:
                raise ValueError(f"{self.spec.method}: step {step} cannot continue step {before}")
            changes = {"resume_from": before, "rung": earlier.rung + 1, "samples": suggestion.samples}
            return earlier.model_copy(update=identity | changes)
        candidate = suggestion.candidate
        return Proposal(
            **identity,
            trial=trial,
            config=candidate.config,
            architecture=candidate.architecture,
            recipe=candidate.recipe,
            rung=suggestion.rung,
            samples=state.budget(candidate) if suggestion.samples is None else suggestion.samples,
        )

    def _strategy(self) -> Proposer:
        """Combine the method with the given first trial and the promotion, if any."""
        settings, (_, given) = self.spec.search, self.feasible
        method = settings.strategy(self.spec.method)
        assert isinstance(method, Strategy)
        propose_new: Proposer = method if given is None else partial(_given_first, given, method)
        if not settings.promotion:
            return propose_new
        wrapper = settings.strategy(settings.promotion)
        assert isinstance(wrapper, Promotion)
        return partial(wrapper, propose_new=propose_new)


def _given_first(given: Candidate, otherwise: Proposer, state: SearchState) -> Suggestion | None:
    return otherwise(state) if state.taken else Suggestion(given, origin="start")


def baseline_candidate(feasible: FeasibleSpace, architecture: Architecture, recipe: Recipe) -> Candidate:
    """Return a baseline as published, without a configuration if its recipe is not a point of the space."""
    candidate = feasible.candidate(feasible.space.nearest(recipe))
    return candidate if candidate.recipe == recipe else Candidate({}, architecture, recipe)
