"""Successive halving (Jamieson and Talwalkar 2016): a rung is complete before the best of its trials go on.

The trials form brackets. Each bracket trains its trials on its first rung, continues the best 1/`factor` of them on the
next rung when all have ended there, and so on. A step never waits: where the results of a rung are pending, the next
bracket begins.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import Field

from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, Promotion, Proposer, SearchState, Suggestion

AtLeastTwo = Annotated[int, Field(ge=2)]


@STRATEGIES.register("halving")
class Halving(Promotion):
    """Successive halving (Jamieson and Talwalkar 2016)."""

    rungs: AtLeastTwo = Field(3, description="Rungs of fidelity: on rung r a trial has trained `budget` x factor^r.")
    factor: AtLeastTwo = Field(3, description="The best 1/factor of the trials of a complete rung are continued.")

    def brackets(self) -> Iterator[tuple[int, int]]:
        """Yield the first rung of each bracket and the number of its trials; the sequence is endless."""
        while True:
            yield 0, self.factor ** (self.rungs - 1)

    def __call__(self, state: SearchState, propose_new: Proposer) -> Suggestion | None:
        """Continue a trial of the oldest bracket that has one to continue; otherwise begin the next trial.

        Where no network is left, the last bracket is promoted as if it had all of its trials.
        """
        begun = [o for o in (*state.history, *state.pending) if o.begins]
        begun.sort(key=lambda o: o.step)
        reached = {(o.trial, o.rung): o for o in state.history}
        at = 0
        for first, size in self.brackets():
            members = [o.trial for o in begun[at : at + size]]
            at += size
            new = propose_new(state) if len(members) < size else None
            if new is not None:
                return self._begin(state, new, first)
            suggestion = self._promote(state, reached, members, first)
            if suggestion is not None or len(members) < size:
                return suggestion
        raise AssertionError("the sequence of brackets is endless")

    def _begin(self, state: SearchState, new: Suggestion, rung: int) -> Suggestion | None:
        """Return the suggestion to begin a trial on the first rung of a bracket; None if the worker lacks the time."""
        if new.candidate is None or rung == 0:
            return replace(new, resumable=True)
        samples = state.budget(new.candidate, self.factor**rung)
        if not state.fits(new.candidate.architecture, samples):
            return None
        return replace(new, samples=samples, resumable=rung < self.rungs - 1, rung=rung)

    def _promote(
        self, state: SearchState, reached: dict[tuple[str, int], Observation], trials: list[str], first: int
    ) -> Suggestion | None:
        """Return the continuation of the best trial of a bracket's complete rungs; None if none can go on."""
        for rung in range(first, self.rungs - 1):
            here = [reached[trial, rung] for trial in trials if (trial, rung) in reached]
            if len(here) < len(trials):
                return None
            best = best_of(state, here, self.factor)
            for o in best:
                if o.step not in state.continued and (found := advance(state, o, self.rungs, self.factor, first)):
                    return found
            trials = [o.trial for o in best]
        return None


def best_of(state: SearchState, steps: Sequence[Observation], factor: int) -> list[Observation]:
    """The best ``floor(n / factor)`` of the n finished steps of a rung, best first.

    A failed step counts among the n and is never one of the best. Ties are resolved in favour of the earlier step.
    """
    return state.best_first(o for o in steps if o.score is not None)[: len(steps) // factor]


def advance(state: SearchState, step: Observation, rungs: int, factor: int, first: int = 0) -> Suggestion | None:
    """Return the suggestion to continue a trial to its next rung; None if the worker lacks the time.

    Each step pays for its start and its validations from its own budget.

    Parameters
    ----------
    state : SearchState
    step : Observation
        Finished step of the trial.
    rungs, factor : int
        Number of rungs; on rung r a trial has trained ``budget`` x factor^r.
    first : int
        Rung on which the trial began.
    """
    shares = [factor**first, *((factor - 1) * factor**r for r in range(first, step.rung + 1))]
    samples = [state.budget(step.candidate, share) for share in shares]
    if not state.fits(step.candidate.architecture, samples[-1]):
        return None
    resumable = step.rung + 1 < rungs - 1
    return Suggestion(continue_step=step.step, samples=sum(samples), origin="promotion", resumable=resumable)
