"""Asynchronous successive halving (ASHA, Li et al. 2020): the best trials are trained longer.

Short trainings are cheap but favour networks that learn fast, and a training seed's noise is larger
there. So the best of each rung are continued to the next, which costs `factor` times as much.
Unlike successive halving by rounds, a step waits for no others: it decides with the results that
its window allows. Together with the Bayesian strategy this is much like BOHB (Falkner et al. 2018).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, Promotion, Proposer, SearchState, Suggestion

AtLeastTwo = Annotated[int, Field(ge=2)]


@STRATEGIES.register("asha")
class Asha(Promotion):
    """Asynchronous successive halving (Li et al. 2020)."""

    rungs: AtLeastTwo = Field(2, description="Rungs of fidelity: on rung r a trial has trained `budget` x factor^r.")
    factor: AtLeastTwo = Field(
        3, description="A step promotes the best trial of a rung's best 1/factor that was not promoted yet, if any."
    )

    def __call__(self, state: SearchState, propose_new: Proposer) -> Suggestion | None:
        """Continue the trial that is to be promoted, if the worker has the time, or begin a new one."""
        step = self.to_promote(state)
        if step is not None:
            unit = state.budget(step.candidate) * self.factor**step.rung
            if state.fits(step.candidate.architecture, (self.factor - 1) * unit):
                return Suggestion(
                    continue_step=step.step,
                    samples=self.factor * unit,
                    origin="promotion",
                    resumable=step.rung + 1 < self.rungs - 1,
                )
        new = propose_new(state)
        return None if new is None else replace(new, resumable=True)

    def to_promote(self, state: SearchState) -> Observation | None:
        """The finished step whose trial goes on to its next rung, or None where the step is a new trial's.

        From the highest rung down: of the n finished steps of a rung the best ``floor(n / factor)`` may be
        promoted, and of those that were not, the best is. A failed step counts as one of the n and as
        worse than all scores; it is never promoted. Equal scores: the earlier step is better.
        """
        for rung in reversed(range(self.rungs - 1)):
            here = [o for o in state.history if o.rung == rung]
            scored = [(-o.score, o.step, o) for o in here if o.score is not None]
            for _, step, observation in sorted(scored)[: len(here) // self.factor]:
                if step not in state.continued:
                    return observation
        return None
