"""Table of the steps of a search: result and cost of each step, and the best trial so far."""

from typing import Any

import numpy as np
import pandas as pd

from voxnas.core.trial import Proposal, Result
from voxnas.search.chain import Chain
from voxnas.search.objectives import dominance_ranks
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
        rows.append(row | {name: proposal.config.get(name) for name in parameters})
    costs: list[str] = []
    if search is not None and len(search.objectives) > 1:
        costs = [*(name for name in search.objectives[1:] if name not in COLUMNS), "front"]
        _add_front(rows, chain, search)
    noted = ["note"] if any(p.note for p in chain.proposals) else []
    # First as objects, since a missing value would convert 12 to 12.0.
    table = pd.DataFrame(rows, columns=[*COLUMNS, *costs, *parameters, *noted, "reason"], dtype=object)
    kinds = dict.fromkeys(("step", "rung", "parameters", "macs", "samples", "added_samples"), "Int64")
    return table.astype(kinds | dict.fromkeys(("score", "cpu_seconds", "best_so_far"), "float64"))


def _add_front(rows: list[dict[str, Any]], chain: Chain, search: Search) -> None:
    """Add the costs that are objectives to the rows of trained steps, and whether each is on the front."""
    names = search.objectives[1:]
    proposals = {p.step: p for p in chain.proposals}
    trained = [row for row in rows if row["key"] is not None]
    for row in trained:
        architecture = proposals[row["step"]].architecture
        assert architecture is not None  # the step has a key
        row |= {name: search.feasible[0].amount(architecture, name) for name in names}
        row["front"] = False
    latest = {row["trial"]: row for row in sorted(trained, key=lambda row: row["rung"])}.values()
    scored = [row for row in latest if row["score"] is not None]
    top = [row for row in scored if row["rung"] == max(row["rung"] for row in scored)]
    if top:
        losses = np.array([[-row["score"], *(row[name] for name in names)] for row in top], dtype=float)
        for row, rank in zip(top, dominance_ranks(losses), strict=True):
            row["front"] = rank == 0


def _order(proposal: Proposal) -> int:
    return proposal.step if proposal.known is None else proposal.known.order
