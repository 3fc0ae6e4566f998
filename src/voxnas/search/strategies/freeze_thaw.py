"""Freeze-thaw: each step begins a trial or continues ("thaws") one, whichever pays more.

As in freeze-thaw Bayesian optimisation (Swersky et al. 2014), every training is frozen after a short step, and its
learning curve predicts the score at full budget with an uncertainty (:mod:`voxnas.search.curves`).

- **Continuing.** The promise of a trial is its expected improvement of the best of the trials that reached the full
  budget, or of the median prediction before one has; with several objectives, it is that of the hypervolume. The
  largest promise divided by the samples that its trial lacks to the full budget is the price of a sample.
- **Beginning.** The prediction for a new trial after its first step is drawn from the distribution of the predictions
  so far, and its promise is worth what exceeds the price of the samples that it would then lack. A new trial begins
  when this worth, averaged over the distribution, exceeds the price of its first step (the reservation rule of Weitzman
  1979). The better the best frozen trial stands out, the sooner it is continued; no share of promoted trials is set.

Swersky et al. predict the curves of networks that were never trained by a Gaussian process, and choose by entropy
search. Here the wrapped strategy proposes new networks.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, Promotion, Proposer, SearchState, Suggestion
from voxnas.search.curves import forecast, robust_deviation
from voxnas.search.feasible import Candidate
from voxnas.search.objectives import expected_improvement, hypervolume_improvement, reference_point
from voxnas.search.strategies.halving import AtLeastTwo, advance

Floats = NDArray[np.float64]
DRAWS, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)  # of a standard normal variable, up to a factor


@STRATEGIES.register("freeze_thaw")
class FreezeThaw(Promotion):
    """Freeze-thaw by predicted learning curves (Swersky et al. 2014)."""

    rungs: AtLeastTwo = Field(3, description="Lengths of a trial: after r continuations it is `budget` x factor^r.")
    factor: AtLeastTwo = Field(3, description="Ratio of successive lengths of a trial.")

    def __call__(self, state: SearchState, propose_new: Proposer) -> Suggestion | None:
        """Continue the trial with the largest promise for its samples, unless a new trial is worth its first step."""
        new = propose_new(state)
        latest = {o.trial: o for o in sorted(state.history, key=lambda o: o.rung)}
        trials = sorted((o for o in latest.values() if o.score is not None), key=lambda o: o.step)
        frozen = [
            (i, found)
            for i, o in enumerate(trials)
            if o.rung + 1 < self.rungs
            and o.step not in state.continued
            and (found := advance(state, o, self.rungs, self.factor))
        ]
        beginning = new and replace(new, resumable=True)
        if not frozen or (new is not None and len(trials) < self.factor):
            return beginning
        promises, drawn = self._promises(state, trials, None if new is None else new.candidate)
        prices = [promises[i] / (self._full(state, trials[i].candidate) - trials[i].samples) for i, _ in frozen]
        best = int(np.argmax(prices))
        if new is not None and new.candidate is not None:
            first = state.budget(new.candidate)
            lacking = self._full(state, new.candidate) - first
            surplus = float(WEIGHTS @ np.maximum(drawn - prices[best] * lacking, 0.0) / WEIGHTS.sum())
            if surplus * len(trials) / len(latest) > prices[best] * first:  # a failed trial is worth nothing
                return beginning
        return replace(frozen[best][1], origin="thaw")

    def _promises(
        self, state: SearchState, trials: Sequence[Observation], new: Candidate | None
    ) -> tuple[Floats, Floats]:
        """Improvements expected of the trials at full budget, (N,), and of a new trial after drawn steps, (D,)."""
        ends = forecast([self._curve(state, o) for o in trials])
        n = len(trials)
        centre, spread = np.median(ends.mean), robust_deviation(ends.mean) * np.sqrt((n + 1) / max(n - 1, 1))
        short = ends.deviation[[o.rung == min(t.rung for t in trials) for o in trials]]
        mean = np.concatenate([ends.mean, centre + spread * DRAWS])
        deviation = np.concatenate([ends.deviation, np.full(len(DRAWS), np.median(short))])
        costs = state.log_costs([o.candidate for o in trials] + [new or trials[0].candidate] * len(DRAWS))
        ended = np.column_stack([-ends.mean, costs[:n]])
        complete = [o.rung + 1 >= self.rungs for o in trials]
        front = ended[complete] if any(complete) else np.median(ended, axis=0, keepdims=True)
        reference = reference_point(np.column_stack([-mean, costs]))
        expected = partial(expected_improvement, -mean, deviation)
        promises = hypervolume_improvement(front, reference, costs, expected)
        return promises[:n], promises[n:]

    def _full(self, state: SearchState, candidate: Candidate) -> int:
        """Return the samples of a trial on its last rung."""
        shares = [1, *((self.factor - 1) * self.factor**r for r in range(self.rungs - 1))]
        return sum(state.budget(candidate, share) for share in shares)

    def _curve(self, state: SearchState, step: Observation) -> list[tuple[float, float]]:
        """Return the scores of a trial up to a finished step, by the share of its full budget."""
        scores = {row["samples"]: row["val_score"] for row in step.curve if {"samples", "val_score"} <= set(row)}
        scores |= {o.samples: o.score for o in state.history if o.trial == step.trial and o.score is not None}
        full = self._full(state, step.candidate)
        return sorted((min(samples / full, 1.0), score) for samples, score in scores.items() if samples > 0)
