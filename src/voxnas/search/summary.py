"""The table of a search's steps: what each found, what it cost, and the best trial so far."""

from __future__ import annotations

import pandas as pd

from voxnas.core.trial import Proposal, Result
from voxnas.search.chain import Chain
from voxnas.search.select import preference

COLUMNS = (
    "step", "trial", "rung", "origin", "state", "score", "parameters", "macs", "samples", "added_samples",
    "cpu_seconds", "best_so_far", "key",
)  # fmt: skip


def trials_table(chain: Chain) -> pd.DataFrame:
    """One row a step, in the order in which the steps were proposed (in strict order: sorted by step).

    Columns are :data:`COLUMNS`, then every parameter of the search space that any trial has (n/a
    where it is not active), ``note`` where a strategy left any, then ``reason``. ``samples`` are those of the trial
    from its start; ``added_samples`` and ``cpu_seconds`` are the cost of the step alone, so that their sums are the
    cost of the search. ``best_so_far`` is the score of the trial that would be selected after the step: the best
    by latest result among those that were trained longest, so it may fall when a first trial is promoted.
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
        # A training that was killed says nothing of what it had seen.
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
    noted = ["note"] if any(p.note for p in chain.proposals) else []
    # As objects first, so that one missing value does not turn 12 into 12.0.
    table = pd.DataFrame(rows, columns=[*COLUMNS, *parameters, *noted, "reason"], dtype=object)
    kinds = dict.fromkeys(("step", "rung", "parameters", "macs", "samples", "added_samples"), "Int64")
    return table.astype(kinds | dict.fromkeys(("score", "cpu_seconds", "best_so_far"), "float64"))


def _order(proposal: Proposal) -> int:
    return proposal.step if proposal.known is None else proposal.known.order
