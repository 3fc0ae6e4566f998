"""The step chain: proposal k depends on the proposals 0 .. k-1 and the results 0 .. k-W only.

Results newer than k-W are not read, even if they exist. Therefore the same files give the same bytes, independently of
the times of arrival. The records are the complete state of a search.
"""

from __future__ import annotations

from functools import partial
from typing import Any

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
from voxnas.core.strategies import STRATEGIES
from voxnas.core.trial import Proposal
from voxnas.io.records import read_json, read_plan, read_record
from voxnas.search.base import Promotion, Proposer, SearchState, Strategy, Suggestion
from voxnas.search.chain import Chain, read_chain
from voxnas.search.feasible import Candidate, FeasibleSpace


def make_proposal(paths: StudyPaths, search: str, step: int) -> Proposal:
    """Propose one step of a search from the study's files.

    Reads ``spec/search-<search>.json``, the plan, the calibration if it exists, and the records of the chain.

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
        If one of the files is missing or damaged.
    """
    spec = read_json(paths.spec(f"search-{search}"))
    if in_order_of_arrival(spec):
        raise UserError(
            f"search.order = 'arrival': step {step} of {search} makes its proposal itself", "run the rule step"
        )
    plan = read_plan(paths.plan)
    chain = read_chain(paths, search, step, max(0, step - spec["search"]["window"] + 1))
    return propose(spec, plan, study_calibration(paths), chain, search, step)


def in_order_of_arrival(spec: dict[str, Any]) -> bool:
    """Whether the spec of a search has `order: arrival`."""
    return spec["search"].get("order") == "arrival"


def study_calibration(paths: StudyPaths) -> Calibration | None:
    """Read the calibration for budgets and limits; None if the study has none."""
    return read_record(paths.calibration, Calibration) if paths.calibration.exists() else None


def propose(
    spec: dict[str, Any],
    plan: Plan,
    calibration: Calibration | None,
    chain: Chain,
    search: str,
    step: int,
    worker: Worker | None = None,
) -> Proposal:
    """Propose one step from plain data (see :func:`make_proposal`).

    Parameters
    ----------
    spec : dict
        Spec of the search.
    plan : Plan
        Plan of the study.
    calibration : Calibration or None
        Calibration of the study, if a limit or a budget requires one.
    chain : Chain
        The finished and the pending steps.
    search : str
        Name of the search.
    step : int
        Number of the step.
    worker : Worker, optional
        Free node in `order: arrival`. Apart from the first trial and hand-made networks, only trials that fit its time
        are begun or continued.

    Raises
    ------
    ValueError
        If the strategy continues a step that is not finished or already has a continuation.
    """
    state, given = search_state(spec, plan, calibration, chain, search, step, worker)
    suggestion = _strategy(spec, given)(state)
    identity = {"search": search, "step": step}
    if suggestion is None:
        return Proposal(**identity, trial=f"{search}-{step}", origin="idle")
    identity |= {"origin": suggestion.origin, "note": suggestion.note, "resumable": suggestion.resumable}
    if suggestion.candidate is None:
        before = suggestion.continue_step
        earlier = next((p for p, _ in chain.finished() if p.step == before), None)
        if earlier is None or before in state.continued:
            raise ValueError(f"{spec['method']}: step {step} cannot continue step {before}")
        changes = {"resume_from": before, "rung": earlier.rung + 1, "samples": suggestion.samples}
        return earlier.model_copy(update=identity | changes)
    candidate = suggestion.candidate
    return Proposal(
        **identity,
        trial=f"{search}-{step}",
        config=candidate.config,
        architecture=candidate.architecture,
        recipe=candidate.recipe,
        samples=state.budget(candidate) if suggestion.samples is None else suggestion.samples,
    )


def _strategy(spec: dict[str, Any], given: Candidate | None) -> Proposer:
    """Combine the method of a search with the given first trial and the promotion, if any."""
    options, promotion = spec["search"]["options"], spec["search"].get("promotion")
    method = STRATEGIES[spec["method"]](**options.get(spec["method"], {}))
    assert isinstance(method, Strategy)
    propose_new: Proposer = method if given is None else partial(_given_first, given, method)
    if not promotion:
        return propose_new
    wrapper = STRATEGIES[promotion](**options.get(promotion, {}))
    assert isinstance(wrapper, Promotion)
    return partial(wrapper, propose_new=propose_new)


def _given_first(given: Candidate, otherwise: Proposer, state: SearchState) -> Suggestion | None:
    return otherwise(state) if state.taken else Suggestion(given, origin="start")


def search_state(
    spec: dict[str, Any],
    plan: Plan,
    calibration: Calibration | None,
    chain: Chain,
    search: str,
    step: int,
    worker: Worker | None = None,
) -> tuple[SearchState, Candidate | None]:
    """Return the knowledge of a strategy at one step, and the given first trial, if any.

    The parameters `spec`, `plan`, `calibration`, `chain`, `search`, `step` and `worker` are those of :func:`propose`.
    """
    feasible, given = _feasible_space(spec, plan, calibration)
    budget = spec["search"]["budget"]
    state = SearchState(
        feasible=feasible,
        history=chain.observations(),
        pending=chain.pending(),
        step=step,
        seed=derive_seed(spec["seed"], "search", search),
        budget=lambda c: samples_of(budget, calibration, c.architecture, input_size(c.architecture, plan)),
        worker=worker,
    )
    return state, given


def _feasible_space(
    spec: dict[str, Any], plan: Plan, calibration: Calibration | None
) -> tuple[FeasibleSpace, Candidate | None]:
    settings = spec["search"]
    limits, source = settings["limits"], f"search.space = {settings['space']!r}"
    if spec["baseline"] is None:
        feasible = FeasibleSpace(SearchSpace.from_dict(spec["space"], source), plan, limits, calibration)
        return feasible, _start(feasible) if settings.get("start") else None
    architecture, recipe = BASELINES[spec["baseline"]](plan, limits)
    space = SearchSpace.recipes_of(spec["space"], source)
    feasible = FeasibleSpace(space, plan, limits, calibration, architecture)
    return feasible, baseline_candidate(feasible, architecture, recipe)


def _start(feasible: FeasibleSpace) -> Candidate | None:
    """Return the hand-made plan as a point of the space; None if it exceeds a limit."""
    candidate = feasible.candidate(feasible.space.start(feasible.plan, feasible.limits))
    return candidate if feasible.admits(candidate) else None


def baseline_candidate(feasible: FeasibleSpace, architecture: Architecture, recipe: Recipe) -> Candidate:
    """Return a baseline as published, without a configuration if its recipe is not a point of the space."""
    candidate = feasible.candidate(feasible.space.nearest(recipe))
    return candidate if candidate.recipe == recipe else Candidate({}, architecture, recipe)
