"""The strategy ``voxnas``: a balanced design, then two acquisition functions in turn on the better of two surrogates.

- **First trials.** Points of a Sobol sequence, of which those are taken whose choices are rarest so far. Each branch of
  a conditional space is thus tried before any is tried twice.
- **Surrogate.** A Gaussian process or a random forest (:mod:`voxnas.search.models`), chosen at each step by the rank
  correlation of left-out trials. Parameters that are inactive in two networks do not separate them. The costs of a
  network are features, too.
- **Losses.** A score is clipped where it is farther below the median than the best score is above it. The range of the
  losses thus narrows to that of the good trials, and the differences among them stay larger than the noise.
- **Candidates.** The neighbours of the networks with the best predictions, mutants and crosses of them, and draws from
  the whole space.
- **Acquisition.** Expected improvement (Jones et al. 1998) without a minimum improvement, and Thompson sampling
  (Thompson 1933) at every second trial: a surrogate that is wrong about a region can keep expected improvement away
  from it for ever.
- **Several objectives.** The improvement is that of the hypervolume (:mod:`voxnas.search.objectives`). The other
  objectives are known before a training, so that only the score is predicted. The parents come from the front.
- **Given plan.** Candidates near the hand-made plan are preferred as long as it is better than most trials. The
  preference fades with the number of trials (Hvarfner et al. 2022).
- **Earlier studies** (``search.prior``). A forest that is fitted to their trials predicts the losses, and the surrogate
  is fitted to what remains (Golovin et al. 2017). The weight of the prediction is its regression on the own losses,
  with a prior mean of 1 and not below 0, and halves after twenty own trials. Every second point of the design is the
  best network of the earlier studies that has not been tried.

With promotion the rung is a feature, and candidates are judged on the highest rung with a finished trial, as in the
strategy ``bayesian``.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from voxnas.arch.conditions import Config
from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, SearchState, Strategy, Suggestion
from voxnas.search.design import design
from voxnas.search.feasible import Candidate
from voxnas.search.objectives import dominance_ranks, expected_improvement, hypervolume_improvement, reference_point
from voxnas.search.strategies.random import Random
from voxnas.search.surrogate import clipped_losses, predict_losses, robust_losses

DESIGN_POINTS = 64
CANDIDATES = 400
RANDOM_CANDIDATES = 100
PARENTS = 5
DRAWN = 300  # candidates in a joint draw
PLAN_WEIGHT = 3.0
HALVED = 20  # own trials after which the weight of earlier studies has halved
CONFIDENCE = 3.0  # own trials that weigh as much as the belief that the prediction by earlier studies is right

Floats = NDArray[np.float64]


@STRATEGIES.register("voxnas")
class Voxnas(Strategy):
    """Bayesian optimisation with two surrogates and two acquisition functions."""

    uses_prior: ClassVar = True

    initial: Annotated[int, Field(gt=0)] = Field(4, description="Points of the balanced design before the surrogate.")

    def __call__(self, state: SearchState) -> Suggestion | None:
        """Propose a point of the design; after `initial` points and two scores, the best candidate of the surrogate."""
        known = [o for o in state.history if o.candidate.config]
        pending = [o.candidate for o in state.pending if o.candidate.config and o.begins]
        if state.turn < self.initial or sum(o.score is not None and o.begins for o in known) < 2:
            candidate = (_best_of_prior(state) if state.turn % 2 else None) or _design(state)
            return Random()(state) if candidate is None else Suggestion(candidate, origin="design")
        return _from_surrogate(state, known, pending) or Random()(state)


def sharp_losses(scores: Sequence[float | None]) -> Floats:
    """Convert scores to losses of zero mean and unit variance, in which the differences of good trials are large.

    A score farther below the median than the best score is above it is clipped. A failed trial has the worst loss.

    Parameters
    ----------
    scores : sequence of float or None
        Larger is better; None for a failed trial. At least one is a number.

    Returns
    -------
    losses : ndarray, (N,)
        Smaller is better; all zero where the scores are equal.
    """
    return clipped_losses(scores, lambda seen: 2 * float(np.median(seen)) - float(seen.max()))


def _design(state: SearchState) -> Candidate | None:
    """Return the free point of the Sobol sequence whose choices are rarest among all trials, the first of equals."""
    tried = [o.candidate.config for o in (*state.history, *state.pending) if o.begins]
    names = [p.name for p in state.feasible.space.varying if p.choices]

    def frequency(candidate: Candidate) -> float:
        config = candidate.config
        mine = [name for name in names if name in config]
        return sum(c.get(name) == config[name] for name in mine for c in tried) / max(1, len(mine))

    rarest = sorted(itertools.islice(design(state), DESIGN_POINTS), key=frequency)
    return next(filter(state.is_free, rarest), None)


def _best_of_prior(state: SearchState) -> Candidate | None:
    """Return the free network with the lowest loss in the earlier studies, if any."""
    trials, losses = _prior_trials(state)
    ordered = (state.feasible.candidate(trials[i]) for i in np.argsort(losses, kind="stable"))
    return next(filter(state.is_free, ordered), None)


def _prior_trials(state: SearchState) -> tuple[list[Config], Floats]:
    """Return the configurations of the earlier studies and their losses, standardised within each table."""
    configs = [trial.config for table in state.prior for trial in table]
    losses = [sharp_losses([trial.score for trial in table]) for table in state.prior]
    return configs, np.concatenate([np.zeros(0), *losses])


def _prior_losses(state: SearchState, points: Floats) -> Floats:
    """Predict the losses at points (N, F) by the trials of the earlier studies alone, (N,); zero without any."""
    configs, losses = _prior_trials(state)
    if not configs:
        return np.zeros(len(points))
    x = _features(state, [state.feasible.candidate(config) for config in configs], [0] * len(configs))
    # The rung, the last feature, is that of this study.
    return predict_losses(x[:, :-1], losses, points[:, :-1], derive_seed(state.seed, "prior", 0))


def _prior_weight(predicted: Floats, losses: Floats) -> float:
    """Weight of the losses predicted by earlier studies, from the losses of the own trials; (N,) each.

    The regression coefficient of the centred losses has a normal prior of mean 1. It is not below 0, and it fades with
    the number of trials, which then suffice for themselves.
    """
    a, b = predicted - predicted.mean(), losses - losses.mean()
    agreed = max(0.0, float(CONFIDENCE + a @ b) / float(CONFIDENCE + a @ a))
    return agreed * HALVED / (HALVED + len(losses))


def _from_surrogate(
    state: SearchState, known: Sequence[Observation], pending: Sequence[Candidate]
) -> Suggestion | None:
    from threadpoolctl import threadpool_limits

    from voxnas.search.models import fit_best

    rng = np.random.default_rng(derive_seed(state.seed, "candidates", state.step))
    rungs = [o.rung for o in known]
    top, low = max(rungs), min(rungs)
    # A cheap network of the front may have a low score, which the sharp losses would clip.
    losses = (robust_losses if len(state.objectives) > 1 else sharp_losses)([o.score for o in known])
    x = _features(state, [o.candidate for o in known], rungs)
    waiting = _features(state, pending, [low] * len(pending)).reshape(-1, x.shape[1])
    groups = state.feasible.space.embedded()
    choices = len(groups)
    # With one thread the order of summation is fixed, and with it the proposal.
    with threadpool_limits(1):
        believed = _prior_losses(state, x)
        weight = _prior_weight(believed, losses)
        seed = derive_seed(state.seed, "surrogate", state.step)
        model = fit_best(x, groups, losses - weight * believed, waiting, seed)
        judged = x.copy()
        judged[:, -1] = top
        predicted = model.predict(judged)[0] + weight * believed
        reached = np.column_stack([predicted, state.log_costs(o.candidate for o in known)])
        order = np.argsort(predicted, kind="stable")
        if len(state.objectives) > 1:
            order = np.lexsort((rng.random(len(known)), dominance_ranks(reached)))
        parents = list({known[i].candidate.key: known[i].candidate.config for i in order}.values())[:PARENTS]
        candidates = list(itertools.islice(_free(state, _nearby(state, parents, rng)), CANDIDATES - RANDOM_CANDIDATES))
        draws = (state.feasible.space.sample(rng) for _ in range(RANDOM_CANDIDATES))
        candidates = list({c.key: c for c in (*candidates, *_free(state, draws))}.values())
        if not candidates:
            return None
        points = _features(state, candidates, [top] * len(candidates))
        mean, deviation = model.predict(points)
        bonus = _plan_bonus(known, losses, x, points, choices) - weight * _prior_losses(state, points)
        costs = state.log_costs(candidates)
        possible = np.column_stack([np.full(len(candidates), losses.max()), costs])
        reference = reference_point(np.vstack([reached, possible]))

        def ranked(of: NDArray[np.intp], best: Floats, improvement: Callable[[float], Floats]) -> NDArray[np.intp]:
            """Sort candidates by their improvement of the front; where it is zero, by the loss at best."""
            gains = hypervolume_improvement(reached, reference, costs[of], improvement)
            return of[np.lexsort((best, -gains))]

        every = np.arange(len(candidates))
        if state.turn % 2:
            expected = partial(expected_improvement, mean - bonus, deviation)
            return Suggestion(candidates[ranked(every, mean - bonus, expected)[0]], origin="improvement")
        least = mean - bonus - 2 * deviation
        likely = ranked(every, least, lambda loss: np.maximum(loss - least, 0.0))[:DRAWN]
        drawn = model.draw(points[likely], rng) - bonus[likely]
        best = ranked(likely, drawn, lambda loss: np.maximum(loss - drawn, 0.0))[0]
    return Suggestion(candidates[best], origin="thompson")


def _features(state: SearchState, candidates: Sequence[Candidate], rungs: Sequence[int]) -> Floats:
    """Coordinates of the choices, logarithms to base 3 of parameters, MACs and activations, and the rung; (N, F)."""
    space, cost = state.feasible.space, state.feasible.cost
    rows = [
        [*space.embed(c.config), *(math.log(max(amount, 1), 3) for amount in cost(c.architecture)), rung]
        for c, rung in zip(candidates, rungs, strict=True)
    ]
    return np.array(rows, dtype=float)


def _nearby(state: SearchState, parents: Sequence[Config], rng: np.random.Generator) -> Iterator[Config]:
    """Yield crosses and neighbours of the parents, then mutants of one to four mutations without end."""
    space = state.feasible.space
    for a, b in itertools.combinations(parents, 2):
        yield from (space.cross(a, b, rng) for _ in range(3))
    yield from space.neighbours(parents[0], rng)
    others = [config for parent in parents[1:] for config in space.neighbours(parent, rng)]
    yield from (others[i] for i in rng.permutation(len(others))[: CANDIDATES // 4])
    for index in range(2 * CANDIDATES):
        config = parents[index % len(parents)] if index % 2 else parents[0]
        for _ in range(1 + index % 4):
            config = space.mutate(config, rng)
        yield config


def _free(state: SearchState, configs: Iterable[Config]) -> Iterator[Candidate]:
    """Yield the distinct free candidates of configurations."""
    seen: set[str] = set()
    for config in configs:
        candidate = state.feasible.candidate(config)
        if candidate.key not in seen:
            seen.add(candidate.key)
            if state.is_free(candidate):
                yield candidate


def _plan_bonus(known: Sequence[Observation], losses: Floats, x: Floats, points: Floats, choices: int) -> Floats:
    """Reduction of the loss of candidates near the hand-made plan, (M,); zero without one."""
    start = next((i for i, o in enumerate(known) if o.origin == "start"), None)
    if start is None:
        return np.zeros(len(points))
    beaten = max(0.0, 2 * float(np.mean(losses > losses[start])) - 1)  # 1 if it is the best, 0 below the median
    distance = ((points[:, :choices] - x[start, :choices]) ** 2).sum(axis=1)
    near: Floats = PLAN_WEIGHT / len(known) * beaten * np.exp(-distance / 8)
    return near
