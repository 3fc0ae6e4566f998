"""From searches to finalists: the one place where the search folds' scores decide.

Networks leave it by identity (their key), never by rank, so that a new trial that does not reach
the finals retrains nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from voxnas.arch.baselines import BASELINES
from voxnas.arch.families import family_of
from voxnas.arch.views import input_size
from voxnas.complexity.calibration import samples_of
from voxnas.core.architecture import Architecture, network_key
from voxnas.core.calibration import Calibration
from voxnas.core.errors import UserError
from voxnas.core.plan import Plan
from voxnas.core.trial import LINEAR, PER_FRAME, Network, Proposal, Result
from voxnas.search.chain import Chain

BASELINE = "baseline-"


def preference(proposal: Proposal, result: Result) -> tuple[int, float, int, str] | None:
    """Sort key of a finished step, best first, or None where it failed.

    Trials that were trained longer go before all others, whatever the scores: they were the best of
    their rung, and scores of different rungs are not comparable. Then the score; ties: fewer MACs, then key.
    """
    score = result.valid_score
    return None if score is None else (-proposal.rung, -score, result.macs, proposal.key)


def ranked(chain: Chain) -> list[tuple[Proposal, Result]]:
    """Scored trials of a search with distinct networks, best first (see :func:`preference`).

    A trial counts by its latest result alone: one that fails on a higher rung is out.
    """
    # In order of arrival a step may continue one of a higher number, so the rungs say which is the later.
    by_rung = sorted(chain.finished(), key=lambda pair: pair[0].rung)
    latest = {proposal.trial: (proposal, result) for proposal, result in by_rung}
    scored = [(key, *pair) for pair in latest.values() if (key := preference(*pair)) is not None]
    found: dict[str, tuple[Proposal, Result]] = {}
    for _, proposal, result in sorted(scored, key=lambda entry: entry[0]):
        found.setdefault(proposal.key, (proposal, result))
    return list(found.values())


def select_finalists(
    spec: dict[str, Any],
    plan: Plan,
    calibration: Calibration | None,
    chains: dict[str, Chain],
    direct: Sequence[str] = (),
) -> tuple[list[Network], list[str]]:
    """The best networks of each search.

    Parameters
    ----------
    spec : dict
        Spec of the stage ``select``: ``finalists`` (of each method), the full ``budget`` and the ``limits``.
    plan : Plan
    calibration : Calibration or None
        The study's plan, and its calibration or None.
    chains : dict of search name to Chain
        All records of each search. Of a search named ``baseline-<name>`` only the best recipe
        goes on, under the name ``<name>``.
    direct : sequence of str
        Baselines that enter with their own recipe, without a search.

    Returns
    -------
    networks : list of Network
        In the order of the searches, best first. Two searches may enter the same network. A searched network that
        uses time is followed by its twin of single frames (:meth:`voxnas.arch.families.Family.without_time`), since
        which of the networks wins is not known before all are trained.
    left_out : list of str
        One line for each baseline without a successful trial, and each twin that there is not.

    Raises
    ------
    UserError
        If a method has no successful trial.
    """
    networks: list[Network] = []
    left_out: list[str] = []
    for search, chain in chains.items():
        is_baseline = search.startswith(BASELINE)
        trials = ranked(chain)
        if not trials:
            reasons = sorted({r.reason for r in chain.results if r.reason}) or ["it has no trials"]
            if not is_baseline:
                raise UserError(
                    f"search {search!r} has no successful trial in {len(chain.results)} steps: {'; '.join(reasons)}",
                    "raise search.steps, or loosen search.limits",
                )
            left_out.append(f"{search} is left out, none of its trials succeeded: {'; '.join(reasons)}")
        for rank, (proposal, result) in enumerate(trials[: 1 if is_baseline else spec["finalists"]], start=1):
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
                    samples=_samples(spec, plan, calibration, proposal.architecture),
                )
            )
            if not is_baseline:
                try:
                    networks += _twin(networks[-1], spec, plan, calibration)
                except UserError as error:
                    left_out.append(f"{networks[-1].name} has no twin of single frames: {error}")
    return networks + [_baseline_network(name, spec, plan, calibration) for name in direct], left_out


def _twin(network: Network, spec: dict[str, Any], plan: Plan, calibration: Calibration | None) -> list[Network]:
    """The network of single frames that costs as much, trained by the same recipe; none where time is not used."""
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
            samples=_samples(spec, plan, calibration, alone),
        )
    ]


def _baseline_network(name: str, spec: dict[str, Any], plan: Plan, calibration: Calibration | None) -> Network:
    """A baseline with its own recipe. The linear one is fitted once to all scans, so its budget is a formality."""
    architecture, recipe = BASELINES[name](plan, spec["limits"])
    linear = family_of(architecture).fitted
    return Network(
        key=network_key(architecture, recipe),
        name=name,
        source=LINEAR if linear else f"{BASELINE}{name}",
        architecture=architecture,
        recipe=recipe,
        samples=1 if linear else _samples(spec, plan, calibration, architecture),
    )


def _samples(spec: dict[str, Any], plan: Plan, calibration: Calibration | None, architecture: Architecture) -> int:
    """What the budget of a final training buys."""
    return samples_of(spec["budget"], calibration, architecture, input_size(architecture, plan))
