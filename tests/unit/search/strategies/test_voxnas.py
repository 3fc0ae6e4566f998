"""Losses, distances and the design of the default strategy, and its behaviour in a conditional space."""

from dataclasses import replace

import numpy as np
import pytest
from plans import limit, space_file, volume_plan

from voxnas.arch.search_space import SearchSpace
from voxnas.core.trial import PriorTrial
from voxnas.search.base import Observation, SearchState
from voxnas.search.feasible import FeasibleSpace
from voxnas.search.models import Forest, Process, fit_best
from voxnas.search.objectives import hypervolume
from voxnas.search.strategies.random import Random
from voxnas.search.strategies.voxnas import Voxnas, _prior_weight, sharp_losses

SPACE = FeasibleSpace(SearchSpace.from_dict(space_file("unet")), volume_plan("segmentation"), limit(None))


def test_scores_far_below_the_median_are_clipped_and_failures_are_worst():
    """Median 0.8, best 0.9: a score below 0.7 is clipped, so a disaster and a failure are as bad as 0.7."""
    losses = sharp_losses([0.9, 0.8, 0.0, None, 0.8, 0.7])
    assert losses[2] == losses[3] == losses[5] == losses.max()
    assert losses.mean() == pytest.approx(0) and losses.std() == pytest.approx(1)
    assert not sharp_losses([0.5, 0.5, None]).any()


def test_inactive_parameters_contribute_nothing_to_a_distance():
    space, rng = SPACE.space, np.random.default_rng(0)
    config = space.sample(rng)
    p = next(p for p in space.varying if p.when and p.ordinal and p.name not in config)
    low, high = (np.array(p.embed(value)) for value in (p.value(0.0), p.value(1.0)))
    nothing = np.array(p.embed(None))
    assert not nothing.any()
    assert np.linalg.norm(low - high) == pytest.approx(1)
    assert np.linalg.norm(low - nothing) == np.linalg.norm(high - nothing) == pytest.approx(0.5**0.5)
    assert len(space.embed(config)) == len(space.embed(space.sample(rng)))


def test_neighbours_are_all_single_changes():
    space, rng = SPACE.space, np.random.default_rng(0)
    config = space.sample(rng)
    found = list(space.neighbours(config, rng))
    for other in found:
        space.validate(other)
    changed = {p.name for p in space.varying if any(p.name in o and o[p.name] != config.get(p.name) for o in found)}
    assert changed >= {p.name for p in space.varying if p.name in config}


def test_the_first_points_try_each_branch():
    history = []
    for step in range(3):
        found = Voxnas()(SearchState(SPACE, tuple(history), (), step, 1, lambda candidate, share=1: 1))
        assert found.origin == "design"
        history.append(Observation(step, f"t{step}", found.candidate, "design", state="DONE", scores={"score": 0.5}))
    optimizers = [o.candidate.config["optimizer"] for o in history]
    assert len(set(optimizers)) == min(3, len(next(p for p in SPACE.space.varying if p.name == "optimizer").choices))


@pytest.mark.parametrize(("shape", "kind"), [("smooth", Process), ("steps", Forest)])
def test_the_better_model_is_chosen_by_left_out_trials(shape, kind):
    """A sum of smooth effects of all features suits the process; steps in two of ten features suit the forest."""
    x = np.random.default_rng(0).random((80, 10))
    y = np.sin(3 * x).sum(axis=1) if shape == "smooth" else np.where(x[:, 0] > 0.8, 5.0, x[:, 1] > 0.5)
    losses = (y - y.mean()) / y.std()
    assert isinstance(fit_best(x, range(9), losses, x[:0], 0), kind)


def test_the_process_learns_which_parameters_matter():
    x = np.random.default_rng(0).random((40, 4))
    y = np.sin(6 * x[:, 0]) + np.cos(6 * x[:, 1])
    process = Process(x, (0, 0, 1), (y - y.mean()) / y.std(), x[:0])
    mattering, other, cost = process._model.kernel_.k1.k1.k2.length_scale
    assert mattering < min(other, cost) / 2


@pytest.mark.parametrize("model", ["process", "forest"])
def test_pending_trials_are_certain_and_move_no_other_prediction_far(model):
    rng = np.random.default_rng(1)
    x = rng.random((30, 4))
    losses, pending = x[:, 0] - 0.5, np.full((1, 4), 0.99)
    make = {
        "process": lambda waiting: Process(x, range(3), losses, waiting),
        "forest": lambda waiting: Forest(x, losses, waiting, np.zeros(len(waiting)), 0),
    }[model]
    before, after = make(x[:0]).predict(pending), make(pending).predict(pending)
    if model == "process":
        assert after[0] == pytest.approx(before[0], abs=0.05)
        assert after[1] < before[1]
    assert np.isfinite(make(pending).draw(x, rng)).all()


def test_the_search_stays_near_a_plan_that_is_better_than_the_trials():
    """Equal scores of all other trials: the prior alone decides, and fades when the plan is worse than they are."""
    rng = np.random.default_rng(0)
    plan = SPACE.candidate(SPACE.space.start(SPACE.plan, SPACE.limits))

    def distance(score):
        rest = [SPACE.candidate(SPACE.space.sample(rng)) for _ in range(5)]
        history = [Observation(0, "t0", plan, "start", state="DONE", scores={"score": score})]
        history += [
            Observation(k, f"t{k}", c, "design", state="DONE", scores={"score": 0.5}) for k, c in enumerate(rest, 1)
        ]
        state = SearchState(SPACE, tuple(history), (), 6, 0, lambda candidate, share=1: 1)
        found = Voxnas()(replace(state, step=7)).candidate.config
        return np.linalg.norm(np.subtract(SPACE.space.embed(found), SPACE.space.embed(plan.config)))

    assert distance(0.6) < distance(0.4)


def test_the_front_of_score_and_cost_is_larger_than_that_of_random_search():
    """The score saturates with the size of a network, and the rest of its configuration is irrelevant."""

    def front(strategy):
        history = []
        for step in range(18):
            state = SearchState(SPACE, tuple(history), (), step, 3, lambda c, share=1: 1, objectives=("score", "macs"))
            found = strategy(state).candidate
            score = min(1.0, np.log(SPACE.amount(found.architecture, "parameters")) / 12)
            history.append(Observation(step, f"t{step}", found, "design", state="DONE", scores={"score": score}))
        costs = state.log_costs(o.candidate for o in history)
        return np.column_stack([[-o.score for o in history], costs])

    mine, random = front(Voxnas()), front(Random())
    reference = np.vstack([mine, random]).max(axis=0)
    assert hypervolume(mine, reference) > hypervolume(random, reference)


def quality(config):
    """A score that depends on four parameters."""
    width, decay = np.log2(config["base_width"]) - 4, np.log10(config["weight_decay"]) + 4
    names = (config["activation"] != "silu") + (config["norm"] != "group")
    return 1 - 0.05 * abs(width) - 0.1 * abs(decay) - 0.05 * names


def trial(step, config):
    score = {"score": quality(config)}
    return Observation(step, f"t{step}", SPACE.candidate(config), "x", state="DONE", scores=score)


def proposal(history, prior, seed=0):
    return Voxnas()(SearchState(SPACE, tuple(history), (), len(history), seed, lambda c, share=1: 1, prior=prior))


def best_of_six(prior, seed):
    history = []
    for step in range(6):
        history.append(trial(step, proposal(history, prior, seed).candidate.config))
    return max(o.score for o in history)


def prior_of(score):
    """Forty trials of an earlier study in which networks have other scores."""
    rng = np.random.default_rng(8)
    configs = [SPACE.space.sample(rng) for _ in range(40)]
    return (tuple(PriorTrial(config=config, score=score(config)) for config in configs),)


def test_the_trials_of_a_similar_study_help():
    right = prior_of(lambda c: 70 + 9 * quality(c))
    gains = [best_of_six(right, seed) - best_of_six((), seed) for seed in (10, 12)]
    assert np.mean(gains) > 0.02 and min(gains) > 0


def test_a_wrong_prior_is_left_within_fifteen_trials_and_a_right_one_is_kept():
    """With fifteen random trials that contradict the earlier study, the proposal is the one without a prior."""
    for seed in (1, 3):
        rng = np.random.default_rng(seed)
        history = [trial(step, SPACE.space.sample(rng)) for step in range(15)]
        plain = proposal(history, ())
        assert proposal(history, prior_of(lambda c: -quality(c))) == plain
        assert proposal(history, prior_of(quality)) != plain


def test_the_weight_of_earlier_studies_follows_their_agreement_and_fades():
    rng = np.random.default_rng(0)
    losses = {n: rng.standard_normal(n) for n in (2, 10, 100)}
    assert _prior_weight(np.zeros(2), np.zeros(2)) == pytest.approx(20 / 22)
    agreed = [_prior_weight(losses[n], losses[n]) for n in (2, 10, 100)]
    assert agreed == pytest.approx([20 / 22, 20 / 30, 20 / 120])
    assert _prior_weight(-losses[100], losses[100]) == 0
