"""The table of a search's trials."""

from __future__ import annotations

import pandas as pd

from voxnas.search.chain import Chain

COLUMNS = (
    "step", "trial", "origin", "state", "score", "parameters", "macs", "samples", "cpu_seconds", "best_so_far", "key",
)  # fmt: skip


def trials_table(chain: Chain) -> pd.DataFrame:
    """One row a step, sorted by step.

    Columns are :data:`COLUMNS`, then every parameter of the search space that any trial has (n/a
    where it is not active), then ``reason``. ``best_so_far`` is the largest score up to that step.
    """
    parameters = sorted({name for p in chain.proposals for name in p.config})
    rows = []
    best: float | None = None
    for proposal, result in zip(chain.proposals, chain.results, strict=True):
        if result.score is not None and result.state in ("DONE", "STOPPED"):
            best = result.score if best is None else max(best, result.score)
        idle = proposal.origin == "idle"
        row = {
            "step": proposal.step,
            "trial": proposal.trial,
            "origin": proposal.origin,
            "state": result.state,
            "score": result.score,
            "parameters": None if idle else result.parameters,
            "macs": None if idle else result.macs,
            "samples": result.samples,
            "cpu_seconds": result.cpu_seconds,
            "best_so_far": best,
            "key": None if idle else proposal.key,
            "reason": result.reason or None,
        }
        rows.append(row | {name: proposal.config.get(name) for name in parameters})
    # As objects first, so that one missing value does not turn 12 into 12.0.
    table = pd.DataFrame(rows, columns=[*COLUMNS, *parameters, "reason"], dtype=object)
    kinds = dict.fromkeys(("step", "parameters", "macs", "samples"), "Int64")
    return table.astype(kinds | dict.fromkeys(("score", "cpu_seconds", "best_so_far"), "float64"))
