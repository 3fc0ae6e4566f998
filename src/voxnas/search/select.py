"""Selection of finalists by the scores on the search folds, which are used for no other decision.

Finalists are addressed by their key and not by rank, so that a new trial outside the finals retrains nothing.
"""

import itertools
import math
from collections.abc import Sequence

import numpy as np

from voxnas.arch.baselines import BASELINES
from voxnas.arch.families import family_of
from voxnas.arch.views import input_size
from voxnas.complexity.calibration import samples_of
from voxnas.core.architecture import Architecture, Recipe, network_key
from voxnas.core.calibration import Calibration
from voxnas.core.errors import UserError
from voxnas.core.plan import Plan
from voxnas.core.spec import SelectSpec
from voxnas.core.strategies import is_job, method_of
from voxnas.core.trial import LINEAR, PER_FRAME, Network, Proposal, Result
from voxnas.search.chain import Chain
from voxnas.search.feasible import cost_of
from voxnas.search.objectives import spread

BASELINE = "baseline-"


def preference(proposal: Proposal, result: Result) -> tuple[int, float, int, str] | None:
    """Return the sort key of a finished step, best first; None for a failed step.

    Trials on higher rungs precede all others independently of their scores: they were the best of the rung below, and
    scores of different rungs are not comparable. Within a rung the order is by score, then by fewer MACs, then by key.
    """
    score = result.valid_score
    return None if score is None else (-proposal.rung, -score, result.macs, proposal.key)


def ranked(chain: Chain) -> list[tuple[Proposal, Result]]:
    """Rank the scored trials of a search with distinct networks, best first (see :func:`preference`).

    Only the latest result of a trial counts: a trial that fails on a higher rung is excluded.
    """
    # In `order: arrival` a step may continue a step of a higher number, so results are ordered by rung.
    by_rung = sorted(chain.finished(), key=lambda pair: pair[0].rung)
    latest = {proposal.trial: (proposal, result) for proposal, result in by_rung}
    scored = [(key, *pair) for pair in latest.values() if (key := preference(*pair)) is not None]
    found: dict[str, tuple[Proposal, Result]] = {}
    for _, proposal, result in sorted(scored, key=lambda entry: entry[0]):
        found.setdefault(proposal.key, (proposal, result))
    return list(found.values())


def select_finalists(
    spec: SelectSpec,
    plan: Plan,
    calibration: Calibration | None,
    chains: dict[str, Chain],
    direct: Sequence[str] = (),
) -> tuple[list[Network], list[str]]:
    """Select the best networks of each search.

    Parameters
    ----------
    spec : SelectSpec
    plan : Plan
        Plan of the study.
    calibration : Calibration or None
        Calibration of the study, if any.
    chains : dict of search name to Chain
        All records of each search. A search named ``baseline-<name>`` contributes its best recipe only, under the name
        ``<name>``.
    direct : sequence of str
        Baselines with their own recipe, without a search.

    Returns
    -------
    networks : list of Network
        In the order of the searches, best first. Two searches may select the same network. A searched network with
        temporal operations is followed by its twin for single frames
        (:meth:`voxnas.arch.families.Family.without_time`), since the best network is unknown before all are trained.
    left_out : list of str
        One line for each baseline and each search of one job without a successful trial, and for each twin that
        cannot be built.

    Raises
    ------
    UserError
        If a method of single steps has no successful trial, or no search at all.
    """
    networks: list[Network] = []
    left_out: list[str] = []
    for search, chain in chains.items():
        is_baseline = search.startswith(BASELINE)
        trials = ranked(chain)
        if not trials:
            reasons = sorted({r.reason for r in chain.results if r.reason}) or ["it has no trials"]
            if not (is_baseline or is_job(method_of(search))):
                raise UserError(
                    f"search {search!r} has no successful trial in {len(chain.results)} steps: {'; '.join(reasons)}",
                    "raise search.steps, or loosen search.limits",
                )
            left_out.append(f"{search} is left out, none of its trials succeeded: {'; '.join(reasons)}")
        chosen = trials[:1] if is_baseline else _along_front(trials, spec, plan, calibration)
        for rank, (proposal, result) in enumerate(chosen, start=1):
            assert proposal.architecture is not None and proposal.recipe is not None  # it was trained
            networks.append(
                Network(
                    key=proposal.key,
                    name=search.removeprefix(BASELINE) if is_baseline else f"{search}-{rank}",
                    source=search,
                    rank=rank,
                    search_score=result.score,
                    architecture=proposal.architecture,
                    recipe=proposal.recipe,
                    samples=_samples(spec, plan, calibration, proposal.architecture, proposal.recipe),
                )
            )
            if not is_baseline:
                try:
                    networks += _twin(networks[-1], spec, plan, calibration)
                except UserError as error:
                    left_out.append(f"{networks[-1].name} has no twin of single frames: {error}")
    if left_out and not networks and not direct:
        raise UserError("; ".join(left_out), "change search.options, or add search.methods or baselines.names")
    return networks + [_baseline_network(name, spec, plan, calibration) for name in direct], left_out


def _along_front(
    trials: list[tuple[Proposal, Result]], spec: SelectSpec, plan: Plan, calibration: Calibration | None
) -> list[tuple[Proposal, Result]]:
    """Return the finalists of a search, the best score first.

    With several objectives they are chosen among the trials of the highest rung by :func:`spread`; only where these
    are too few, trials of the next rung follow.
    """
    if len(spec.objectives) == 1:
        return trials[: spec.finalists]
    found: list[tuple[Proposal, Result]] = []
    for _, group in itertools.groupby(trials, key=lambda pair: pair[0].rung):
        pairs = list(group)
        rows = []
        for proposal, result in pairs:
            assert proposal.architecture is not None and result.score is not None  # it was trained
            costs = (cost_of(proposal.architecture, name, plan, calibration) for name in spec.objectives[1:])
            rows.append([-result.score, *(math.log(max(cost, 1e-9)) for cost in costs)])
        found += [pairs[i] for i in spread(np.array(rows), spec.finalists - len(found))]
    return found


def _twin(network: Network, spec: SelectSpec, plan: Plan, calibration: Calibration | None) -> list[Network]:
    """Return the twin for single frames, of equal cost and recipe; empty for a network without temporal operations."""
    family, size = family_of(network.architecture), input_size(network.architecture, plan)
    alone = family.without_time(network.architecture, size)
    if alone is None:
        return []
    return [
        Network(
            key=network_key(alone, network.recipe),
            name=f"{network.name}-{PER_FRAME}",
            source=PER_FRAME,
            rank=network.rank,
            architecture=alone,
            recipe=network.recipe,
            samples=_samples(spec, plan, calibration, alone, network.recipe),
        )
    ]


def _baseline_network(name: str, spec: SelectSpec, plan: Plan, calibration: Calibration | None) -> Network:
    """Return a baseline with its own recipe; a linear one is fitted to all scans and has a nominal budget of 1."""
    architecture, recipe = BASELINES[name](plan, spec.limits)
    linear = family_of(architecture).fitted
    return Network(
        key=network_key(architecture, recipe),
        name=name,
        source=LINEAR if linear else f"{BASELINE}{name}",
        architecture=architecture,
        recipe=recipe,
        samples=1 if linear else _samples(spec, plan, calibration, architecture, recipe),
    )


def _samples(
    spec: SelectSpec, plan: Plan, calibration: Calibration | None, architecture: Architecture, recipe: Recipe
) -> int:
    """Return the samples within the budget of a final training."""
    size = input_size(architecture, plan)
    return samples_of(spec.budget, calibration, architecture, size, recipe.optimizer)
