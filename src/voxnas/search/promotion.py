"""Which trial is trained longer: asynchronous successive halving (ASHA, Li et al. 2020).

Short trainings are cheap but favour networks that learn fast, and a training seed's noise is larger
there. So the best of each rung are continued to the next, which costs `factor` times as much.
Unlike successive halving by rounds, a step waits for no others: it decides with the results that
its window allows. Together with the Bayesian proposer this is much like BOHB (Falkner et al. 2018).
"""

from __future__ import annotations

from collections.abc import Sequence

from voxnas.core.trial import Proposal, Result


def to_promote(proposals: Sequence[Proposal], results: Sequence[Result], rungs: int, factor: int) -> Proposal | None:
    """The finished step whose trial goes on to its next rung, or None where the step is a new trial's.

    From the highest rung down: of the n finished steps of a rung the best ``floor(n / factor)`` may be
    promoted, and of those that were not, the best is. A failed step counts as one of the n and as
    worse than all scores; it is never promoted. Equal scores: the earlier step is better.

    Parameters
    ----------
    proposals : sequence of Proposal
        All earlier steps; those without a result are pending, and a trial that one of them continues is taken.
    results : sequence of Result
        Of the first of them.
    rungs, factor : int
        Settings ``search.promotion``.
    """
    continued = {p.resume_from for p in proposals}
    finished = [(p, r.valid_score) for p, r in zip(proposals, results, strict=False) if p.origin != "idle"]
    for rung in reversed(range(rungs - 1)):
        here = [(proposal, score) for proposal, score in finished if proposal.rung == rung]
        best = sorted((-score, p.step, p) for p, score in here if score is not None)[: len(here) // factor]
        for _, _, proposal in best:
            if proposal.step not in continued:
                return proposal
    return None
