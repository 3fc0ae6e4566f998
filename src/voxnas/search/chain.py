"""The step chain: proposal k from the proposals 0 .. k-1 and the results 0 .. k-W, and nothing else.

Results that are newer than k-W are not looked at, even if they exist; so the same files give the
same bytes, whatever arrived when. The records are the whole state of a search.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from voxnas.arch.baselines import BASELINES
from voxnas.arch.search_space import SearchSpace
from voxnas.arch.views import input_size
from voxnas.complexity.calibration import samples_of
from voxnas.complexity.placement import Worker
from voxnas.core.architecture import Architecture, Recipe
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_json, read_record
from voxnas.search.base import Observation, SearchState
from voxnas.search.feasible import Candidate, FeasibleSpace
from voxnas.search.promotion import to_promote
from voxnas.search.proposers import PROPOSERS


@dataclass(frozen=True)
class Chain:
    """What is known of a search: the finished steps in order, then the pending ones in order.

    In strict order that is simply the order of the steps.
    """

    proposals: tuple[Proposal, ...]
    results: tuple[Result, ...]

    def finished(self) -> list[tuple[Proposal, Result]]:
        """The finished steps in order, without the idle ones."""
        return [(p, r) for p, r in zip(self.proposals, self.results, strict=False) if p.origin != "idle"]

    def observations(self) -> tuple[Observation, ...]:
        """The finished steps in order as a proposer sees them."""
        return tuple(Observation(p.step, p.config, p.key, r.valid_score, p.rung) for p, r in self.finished())

    def pending(self) -> list[Proposal]:
        """The steps that are proposed and whose results are not used yet, without the idle ones."""
        return [p for p in self.proposals[len(self.results) :] if p.origin != "idle"]


def read_chain(paths: StudyPaths, search: str, proposals: int, results: int) -> Chain:
    """Read the first proposals and results of a search.

    Raises
    ------
    UserError
        If a record is missing or damaged, or a result belongs to another network than its proposal.
    """
    proposed = tuple(read_record(paths.step(search, k) / "proposal.json", Proposal) for k in range(proposals))
    finished = tuple(read_record(paths.step(search, k) / "result.json", Result) for k in range(results))
    for proposal, result in zip(proposed, finished, strict=False):
        if proposal.origin != "idle" and result.key != proposal.key:
            raise UserError(
                f"{paths.step(search, proposal.step) / 'result.json'} is of network {result.key or 'n/a'}, "
                f"its proposal is of {proposal.key}",
                "delete the result and run the study again",
            )
    return Chain(proposed, finished)


def finished_steps(paths: StudyPaths, search: str) -> int:
    """How many steps of a search, from the first without a gap, have a result."""
    step = 0
    while (paths.step(search, step) / "result.json").exists():
        step += 1
    return step


def make_proposal(paths: StudyPaths, search: str, step: int) -> Proposal:
    """Propose one step of a search from the study's files.

    Reads ``spec/search-<search>.json``, the plan, the calibration where there is one, and the
    chain's records.

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
    plan = read_json(paths.plan)
    chain = read_chain(paths, search, step, max(0, step - spec["search"]["window"] + 1))
    return propose(spec, plan, study_calibration(paths), chain, search, step)


def in_order_of_arrival(spec: dict[str, Any]) -> bool:
    """Whether a search's spec has `order: arrival`."""
    return spec["search"].get("order") == "arrival"


def study_calibration(paths: StudyPaths) -> dict[str, Any] | None:
    """The calibration on which budgets and limits rest, where the study has one."""
    return read_json(paths.calibration) if paths.calibration.exists() else None


def propose(
    spec: dict[str, Any],
    plan: dict[str, Any],
    calibration: dict[str, Any] | None,
    chain: Chain,
    search: str,
    step: int,
    worker: Worker | None = None,
) -> Proposal:
    """Propose one step from plain data (see :func:`make_proposal`).

    With a `worker` (`order: arrival`) only what it can train in its time is begun or continued. The first trial and
    hand-made networks are what they are.
    """
    settings = spec["search"]
    promotion = settings["promotion"]
    earlier = to_promote(chain.proposals, chain.results, promotion["rungs"], promotion["factor"])
    if earlier is not None:
        promoted = _promoted(earlier, step, promotion)
        if worker is None or _fits(worker, promoted, earlier.samples, plan):
            return promoted
    limits = settings["limits"]
    source = f"search.space = {settings['space']!r}"
    if spec["baseline"] is None:
        domain = FeasibleSpace(SearchSpace.from_dict(spec["space"], source), plan, limits, calibration)
        given = _start(domain) if settings["start"] else None
    else:
        architecture, recipe = BASELINES[spec["baseline"]](plan, limits)
        domain = FeasibleSpace(SearchSpace.recipes_of(spec["space"], source), plan, limits, calibration, architecture)
        given = baseline_candidate(domain, architecture, recipe)
    if worker is not None:
        domain.fits = lambda architecture: worker.fits(
            architecture,
            input_size(architecture, plan),
            samples_of(settings["budget"], calibration, architecture, input_size(architecture, plan)),
        )
    identity = {"search": search, "step": step, "trial": f"{search}-{step}"}
    if not chain.proposals and given is not None:
        candidate, origin = given, "start"
    else:
        pick = PROPOSERS[spec["method"]](
            SearchState(
                domain=domain,
                history=chain.observations(),
                # A pending promotion is of a trial that the history already has.
                pending=tuple(p.config for p in chain.pending() if p.rung == 0),
                taken=frozenset(p.key for p in chain.proposals if p.origin != "idle"),
                step=step,
                first=int(given is not None),
                seed=derive_seed(spec["seed"], "search", search),
                initial=settings["initial"],
                surrogate=settings["surrogate"],
            )
        )
        if pick is None:
            return Proposal(**identity, origin="idle")
        candidate, origin = pick
    size = input_size(candidate.architecture, plan)
    return Proposal(
        **identity,
        origin=origin,
        config=candidate.config,
        architecture=candidate.architecture,
        recipe=candidate.recipe,
        resumable=promotion["rungs"] > 1,
        samples=samples_of(settings["budget"], calibration, candidate.architecture, size),
    )


def _fits(worker: Worker, promoted: Proposal, done: int, plan: dict[str, Any]) -> bool:
    """Whether a worker has the time for what a promotion adds."""
    assert promoted.architecture is not None  # it was trained
    size = input_size(promoted.architecture, plan)
    return worker.fits(promoted.architecture, size, promoted.samples - done)


def _promoted(earlier: Proposal, step: int, promotion: dict[str, int]) -> Proposal:
    """The step that trains the trial of an earlier step on, to `factor` times its samples."""
    rung = earlier.rung + 1
    changes = {
        "step": step,
        "origin": "promotion",
        "resume_from": earlier.step,
        "rung": rung,
        "resumable": rung < promotion["rungs"] - 1,
        "samples": earlier.samples * promotion["factor"],
    }
    return earlier.model_copy(update=changes)


def _start(domain: FeasibleSpace) -> Candidate | None:
    """The hand-made plan as a point of the space; None where even that is beyond a limit."""
    candidate = domain.candidate(domain.space.start(domain.plan, domain.limits))
    return candidate if domain.admits(candidate) else None


def baseline_candidate(domain: FeasibleSpace, architecture: Architecture, recipe: Recipe) -> Candidate:
    """A baseline as published; without a configuration where its recipe is not a point of the space."""
    candidate = domain.candidate(domain.space.nearest(recipe))
    return candidate if candidate.recipe == recipe else Candidate({}, architecture, recipe)
