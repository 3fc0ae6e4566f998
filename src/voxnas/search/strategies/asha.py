"""Asynchronous successive halving (ASHA, Li et al. 2020): the best trials are trained longer.

Short trainings are cheap, but they favour networks that learn fast, and their scores vary more between seeds.
Therefore the best trials of each rung are continued to the next rung, which costs `factor` times as much. Unlike
synchronous successive halving, a step does not wait for the other steps of its rung: it decides from the results
within its window. Combined with the Bayesian strategy the method resembles BOHB (Falkner et al. 2018).
"""

from dataclasses import replace

from pydantic import Field

from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, Promotion, Proposer, SearchState, Suggestion
from voxnas.search.strategies.halving import AtLeastTwo, advance, best_of


@STRATEGIES.register("asha")
class Asha(Promotion):
    """Asynchronous successive halving (Li et al. 2020)."""

    rungs: AtLeastTwo = Field(2, description="Rungs of fidelity: on rung r a trial has trained `budget` x factor^r.")
    factor: AtLeastTwo = Field(
        3, description="A step promotes the best trial of a rung's best 1/factor that was not promoted yet, if any."
    )

    def __call__(self, state: SearchState, propose_new: Proposer) -> Suggestion | None:
        """Promote a trial if the worker has enough time; otherwise begin a new trial."""
        step = self.to_promote(state)
        if step is not None and (found := advance(state, step, self.rungs, self.factor)):
            return found
        new = propose_new(state)
        return None if new is None else replace(new, resumable=True)

    def to_promote(self, state: SearchState) -> Observation | None:
        """Return the finished step whose trial is promoted; None if the step begins a new trial.

        Rungs are searched from the highest down. The best steps of a rung are candidates, and the best candidate that
        has not been promoted is chosen.
        """
        for rung in reversed(range(self.rungs - 1)):
            here = [o for o in state.history if o.rung == rung]
            for step in best_of(state, here, self.factor):
                if step.step not in state.continued:
                    return step
        return None
