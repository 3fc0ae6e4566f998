"""Table of the steps of a search: result and cost of each step, and the best trial so far."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from voxnas.core.trial import Proposal, Result
from voxnas.search.chain import Chain
from voxnas.search.objectives import dominance_ranks, hypervolume, reference_point, spread
from voxnas.search.propose import Search
from voxnas.search.select import preference

COLUMNS = (
    "step", "trial", "rung", "origin", "state", "score", "parameters", "macs", "samples", "added_samples",
    "cpu_seconds", "best_so_far", "key",
)  # fmt: skip


def trials_table(chain: Chain, search: Search | None = None) -> pd.DataFrame:
    """Tabulate the steps of a search, one row per step, in the order of the proposals.

    Columns are :data:`COLUMNS`; every parameter of the search space that is active in any trial (n/a if inactive);
    ``note``, if a strategy left any; and ``reason``. ``samples`` counts from the start of the trial; ``added_samples``
    and ``cpu_seconds`` are the cost of the step alone, so that their sums are the cost of the search. ``best_so_far``
    is the score of the trial that would be selected after the step: the best latest result among the trials with most
    training. It may decrease when a first trial is promoted.

    With a `search` of several objectives, the costs that are objectives follow, and ``front``: whether the step is the
    latest of a trial on the highest rung that no other such trial dominates.
    """
    parameters = sorted({name for p in chain.proposals for name in p.config})
    costs = [name for name in search.objectives[1:] if name not in COLUMNS] if search is not None else []
    rows = []
    paid: dict[str, tuple[int, float]] = {}
    latest: dict[str, tuple[Proposal, Result]] = {}
    for proposal, result in sorted(zip(chain.proposals, chain.results, strict=True), key=lambda pair: _order(pair[0])):
        idle = proposal.idle
        if not idle:
            latest[proposal.trial] = (proposal, result)
        samples, seconds = paid.get(proposal.trial, (0, 0.0))
        # The result of a killed training does not state its samples.
        paid[proposal.trial] = (max(samples, result.samples), max(seconds, result.cpu_seconds or 0.0))
        scored = [(key, r.score) for p, r in latest.values() if (key := preference(p, r)) is not None]
        row = {
            "step": proposal.step,
            "trial": proposal.trial,
            "rung": proposal.rung,
            "origin": proposal.origin,
            "state": result.state,
            "score": result.score,
            "parameters": None if idle else result.parameters,
            "macs": None if idle else result.macs,
            "samples": result.samples,
            "added_samples": max(0, result.samples - samples),
            "cpu_seconds": None if result.cpu_seconds is None else max(0.0, result.cpu_seconds - seconds),
            "best_so_far": min(scored)[1] if scored else None,
            "key": None if idle else proposal.key,
            "note": proposal.note or None,
            "reason": result.reason or None,
        }
        if search is not None and proposal.architecture is not None:
            row |= {name: search.feasible[0].amount(proposal.architecture, name) for name in costs}
        rows.append(row | {name: proposal.config.get(name) for name in parameters})
    noted = ["note"] if any(p.note for p in chain.proposals) else []
    # First as objects, since a missing value would convert 12 to 12.0.
    table = pd.DataFrame(rows, columns=[*COLUMNS, *costs, *parameters, *noted, "reason"], dtype=object)
    kinds = dict.fromkeys(("step", "rung", "parameters", "macs", "samples", "added_samples"), "Int64")
    table = table.astype(kinds | dict.fromkeys(("score", "cpu_seconds", "best_so_far", *costs), "float64"))
    if search is not None and len(search.objectives) > 1:
        front = table.index.isin(front_table(table, search.objectives).index)
        table.insert(len(COLUMNS) + len(costs), "front", front)
    return table


def front_table(table: pd.DataFrame, objectives: Sequence[str]) -> pd.DataFrame:
    """Select the front of a search: the latest steps on the highest rung that no other such step dominates.

    Parameters
    ----------
    table : DataFrame
        From :func:`trials_table`.
    objectives : sequence of str
        ``score``, larger is better, and costs; with the score alone the front is the best trial.

    Returns
    -------
    DataFrame
        step, trial, rung, key, the objectives, and ``hypervolume``: the share of the front's hypervolume that the row
        and those before it dominate. The reference is worse than the front by a tenth of its range; costs are
        logarithmic. Rows are in the order in which finalists are chosen (:func:`voxnas.search.objectives.spread`).
    """
    trained = table[table.key.notna()].sort_values("rung", kind="stable")
    scored = trained.drop_duplicates("trial", keep="last").dropna(subset="score")
    top = scored[scored.rung == scored.rung.max()]
    losses = -top[["score"]].to_numpy(dtype=float)
    costs = np.log(np.maximum(top[[*objectives[1:]]].to_numpy(dtype=float), 1e-9))
    losses = np.column_stack([losses, costs])
    best = dominance_ranks(losses) == 0
    front, losses = top[best], losses[best]
    order = spread(losses, len(losses))
    found = front.iloc[order][list(dict.fromkeys(("step", "trial", "rung", "key", *objectives)))]
    if not order:
        return found.assign(hypervolume=[])
    reference = reference_point(losses)
    volumes = np.array([hypervolume(losses[order[: i + 1]], reference) for i in range(len(order))])
    return found.assign(hypervolume=volumes / volumes[-1])


def _order(proposal: Proposal) -> int:
    return proposal.step if proposal.known is None else proposal.known.order
