"""What every registered strategy must keep, on spaces of two families, whatever has happened so far.

A new strategy takes part by being registered, with its defaults; a row of OPTIONS adds other options to try.
"""

import itertools
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from plans import limit, space_file, volume_plan

from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.core.strategies import STRATEGIES
from voxnas.core.trial import Proposal
from voxnas.search.base import Observation, SearchState, Suggestion
from voxnas.search.feasible import FeasibleSpace

OPTIONS = {
    "bayesian": [{}, {"surrogate": "forest"}],
    "evolution": [{}, {"population": 4, "tournament": 2}],
    "nsga2": [{}, {"population": 4}],
    "hierarchical": [{}, {"initial": 4}],
    "progressive": [{}, {"trials": 2, "beam": 1}],
    "voxnas": [{}, {"initial": 1}],
    "asha": [{}, {"rungs": 3, "factor": 2}],
    "freeze_thaw": [{}, {"rungs": 2}],
    "halving": [{"rungs": 2}, {"factor": 2}],
    "hyperband": [{"rungs": 2}, {"factor": 2}],
}


def cases(kind):
    names = [name for name in STRATEGIES if STRATEGIES[name].kind == kind]
    rows = [(name, options) for name in names for options in OPTIONS.get(name, [{}])]
    return [pytest.param(STRATEGIES[name](**row), id=" ".join([name, *map(str, row.values())])) for name, row in rows]


of_all_strategies = pytest.mark.parametrize("strategy", cases("step"))
of_all_promotions = pytest.mark.parametrize("promotion", cases("promotion"))

LIMIT = limit(200_000)
TASKS = {"unet": "segmentation", "cnn": "classification"}


def make_space(family, limits=LIMIT, narrow=None):
    raw = space_file(family)
    if narrow is not None:
        raw["parameters"] = narrow(raw["parameters"])
    return FeasibleSpace(SearchSpace.from_dict(raw), volume_plan(TASKS[family]), limits)


def observe(space, step, config, score, **changes):
    """A finished step; a score of None: it failed."""
    scores = {} if score is None else {"score": score}
    o = Observation(step, f"t{step}", space.candidate(config), "random", state="DONE" if scores else "FAILED")
    return replace(o, scores=scores, costs={"samples": 100}, samples=100, **changes)


def state(space, scores, pending=2, seed=1):
    """A search after len(scores) trials of random configurations, and some that are not done."""
    rng = np.random.default_rng(9)
    configs = [space.space.sample(rng) for _ in range(len(scores) + pending)]
    history = [observe(space, k, config, score) for k, (config, score) in enumerate(zip(configs, scores, strict=False))]
    waiting = [Observation(k, f"t{k}", space.candidate(configs[k]), "random") for k in range(len(scores), len(configs))]
    return SearchState(
        space, tuple(history), tuple(waiting), len(configs), seed, lambda candidate, share=1: round(100 * share)
    )


HISTORIES = {
    "nothing": [],
    "one": [0.5],
    "all failed": [None] * 8,
    "all but one failed": [None] * 7 + [0.5],
    "all equal": [0.5] * 8,
    "one disaster": [0.85, 0.86, 0.0, 0.84, 0.87, 0.85, 0.86, 0.85],
    "negative scores": [-12.0, -11.5, None, -30.0, -9.0, -10.0],
    "tiny differences": [0.5 + 1e-12 * k for k in range(8)],
    "ordinary": [0.80, 0.82, None, 0.85, 0.81, 0.86, 0.79, 0.84],
}


def check(strategy, asked):
    found = strategy(asked)
    assert found is not None and found.origin and found.origin not in ("start", "idle")
    candidate = found.candidate
    assert asked.is_free(candidate)
    asked.feasible.space.validate(candidate.config)
    text = json.dumps(candidate.config, allow_nan=False)
    assert asked.feasible.candidate(json.loads(text)) == candidate
    fields = {name: getattr(candidate, name) for name in ("config", "architecture", "recipe")}
    identity = {"search": "s", "step": asked.step, "trial": "t", "origin": found.origin, "note": found.note}
    record = Proposal(**identity, **fields, samples=1)
    assert Proposal.model_validate_json(record.model_dump_json()) == record
    return found


@pytest.mark.parametrize("history", HISTORIES)
@of_all_strategies
def test_proposes_a_free_network_after_any_history(strategy, history):
    check(strategy, state(make_space("unet"), HISTORIES[history]))


@pytest.mark.parametrize("objectives", [("score", "macs"), ("score", "parameters", "macs")], ids=["two", "three"])
@of_all_strategies
def test_proposes_a_free_network_for_several_objectives(strategy, objectives):
    asked = replace(state(make_space("unet"), HISTORIES["ordinary"]), objectives=objectives)
    first = check(strategy, asked)
    assert strategy(replace(asked, history=asked.history[::-1], pending=asked.pending[::-1])) == first


@pytest.mark.parametrize("family", TASKS)
@of_all_strategies
def test_same_state_same_answer_whatever_the_order_of_its_rows(strategy, family):
    asked = state(make_space(family), HISTORIES["ordinary"])
    first = check(strategy, asked)
    again = state(make_space(family), HISTORIES["ordinary"])
    assert strategy(again) == first
    assert strategy(replace(again, history=again.history[::-1], pending=again.pending[::-1])) == first


@of_all_strategies
def test_another_seed_another_answer(strategy):
    space = make_space("unet")
    keys = {strategy(state(space, HISTORIES["nothing"], 0, seed)).candidate.key for seed in (1, 2)}
    assert len(keys) == 2


@of_all_strategies
def test_pending_steps_are_not_proposed_again(strategy):
    asked = state(make_space("unet"), HISTORIES["ordinary"])
    found = strategy(asked)
    pending = Observation(asked.step, "t", found.candidate, found.origin)
    check(strategy, replace(asked, pending=(*asked.pending, pending)))
    check(strategy, replace(asked, pending=(*asked.pending, pending), step=asked.step + 1))


@of_all_strategies
def test_limits_hold(strategy):
    space = make_space("unet", limit(60_000, macs=150_000_000))
    for scores in (HISTORIES["nothing"], HISTORIES["ordinary"]):
        cost = analyze(check(strategy, state(space, scores)).candidate.architecture, [32, 32, 32])
        assert cost.parameters <= 60_000
        assert cost.macs <= 150_000_000


def test_a_network_at_the_limits_is_admitted():
    space = make_space("unet")
    candidate = space.candidate(space.space.sample(np.random.default_rng(0)))
    cost = space.cost(candidate.architecture)
    assert make_space("unet", limit(cost.parameters, macs=cost.macs)).admits(candidate)
    assert not make_space("unet", limit(cost.parameters, macs=cost.macs - 1)).admits(candidate)
    assert not make_space("unet", limit(cost.parameters - 1)).admits(candidate)


@of_all_strategies
def test_global_random_state_is_neither_used_nor_changed(strategy):
    asked = state(make_space("unet"), HISTORIES["ordinary"])
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    first = strategy(asked)
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(2)
    assert strategy(asked) == first


def only(parameters, kept):
    """The space with one value of everything but the kept parameters, and so without conditions."""
    fixed = {}
    for name, entry in parameters.items():
        values = entry["choices"][:1] if "choices" in entry else [entry["high"]]
        fixed[name] = {"choices": values} | {k: entry[k] for k in entry if k == "sets"}
    del fixed["muon_learning_rate"], fixed["sgd_learning_rate"]
    return fixed | kept


@of_all_strategies
def test_small_space_is_searched_to_its_end_and_then_idle(strategy):
    kept = {"base_width": {"choices": [4, 8]}, "activation": {"choices": ["relu", "silu"]}}
    space = make_space("unet", narrow=lambda p: only(p, kept))
    history = []
    for step in itertools.count():
        found = strategy(replace(state(space, [], 0, 3), history=tuple(history), step=step))
        if found is None:
            break
        assert found.candidate.key not in {o.candidate.key for o in history}
        history.append(observe(space, step, found.candidate.config, math.sin(step)))
    assert len(history) == space.space.size() == 4


@of_all_strategies
def test_nothing_within_the_limits_is_idle(strategy):
    space = make_space("unet", limit(10))
    assert strategy(state(space, [], pending=0)) is None


@pytest.mark.parametrize("free", [True, False])
@of_all_promotions
def test_a_promotion_asks_for_new_trials_or_continues_finished_ones(promotion, free):
    """Thirty steps, of which two are pending; where no network is free after a while, it goes on with its trials."""
    space, asked = make_space("unet"), []

    def propose_new(state):
        asked.append(state)
        return Suggestion(state.feasible.candidate(space.space.sample(rng)), origin="new") if free or step < 9 else None

    rng, steps, continued = np.random.default_rng(4), {}, 0
    for step in range(30):
        done = [o if o.step < step - 2 else replace(o, state="PENDING", scores={}) for o in steps.values()]
        now = replace(
            state(space, [], 0),
            history=tuple(o for o in done if o.state != "PENDING"),
            pending=tuple(o for o in done if o.state == "PENDING"),
            step=step,
        )
        before = len(asked)
        found = promotion(now, propose_new)
        assert asked[before:] in ([], [now])  # what the wrapped strategy sees is the whole state
        if found is None:
            assert not free
        elif found.candidate is not None:
            assert found.origin == "new"
            score = None if step % 7 == 3 else float(rng.random())
            steps[step] = observe(space, step, found.candidate.config, score)
        else:
            earlier = next(o for o in now.history if o.step == found.continue_step)
            assert earlier.step not in now.continued
            assert earlier.score is not None
            assert found.samples > earlier.samples
            assert promotion(now, propose_new) == found
            continued += 1
            config, rung = earlier.candidate.config, earlier.rung + 1
            changes = {"rung": rung, "resume_from": earlier.step, "trial": earlier.trial}
            new = observe(space, step, config, float(rng.random()), **changes)
            steps[step] = replace(new, samples=found.samples)
    assert continued
