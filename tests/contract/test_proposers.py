"""What every registered proposer must keep, on spaces of both families, whatever has happened so far."""

import itertools
import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.core.trial import Proposal
from voxnas.search.base import Observation, SearchState
from voxnas.search.feasible import FeasibleSpace
from voxnas.search.proposers import PROPOSERS

SPACES = Path(__file__).parents[2] / "config" / "search_spaces"
LIMIT = {"parameters": 200_000, "macs": None, "latency_ms": None}
TASKS = {"unet": ("segmentation", 3), "cnn": ("classification", 2)}
CASES = [("random", "gp"), ("bayesian", "gp"), ("bayesian", "forest")]


def make_domain(family, limits=LIMIT, narrow=None):
    raw = yaml.safe_load((SPACES / f"{family}.yaml").read_text())
    if narrow is not None:
        raw["parameters"] = narrow(raw["parameters"])
    task, outputs = TASKS[family]
    plan = {
        "task": task,
        "spacing": [1.0, 1.0, 1.0],
        "patch": [32, 32, 32],
        "strides": [[1, 1, 1], [2, 2, 2], [2, 2, 2], [2, 2, 2]],
        "kernels": [[3, 3, 3]] * 4,
        "channels": 1,
        "outputs": outputs,
    }
    return FeasibleSpace(SearchSpace.from_dict(raw), plan, limits)


def state(domain, scores, surrogate="gp", pending=2, seed=1):
    """A search after len(scores) trials of random configurations, and some that are not done."""
    rng = np.random.default_rng(9)
    configs = [domain.space.sample(rng) for _ in range(len(scores) + pending)]
    keys = [domain.candidate(c).key for c in configs]
    done = tuple(
        Observation(k, c, key, score) for k, (c, key, score) in enumerate(zip(configs, keys, scores, strict=False))
    )
    return SearchState(
        domain=domain,
        history=done,
        pending=tuple(configs[len(scores) :]),
        taken=frozenset(keys),
        step=len(configs),
        first=0,
        seed=seed,
        initial=4,
        surrogate=surrogate,
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


def check(proposer, asked):
    pick = proposer(asked)
    assert pick is not None
    candidate = pick.candidate
    assert asked.is_free(candidate)
    asked.domain.space.validate(candidate.config)
    text = json.dumps(candidate.config, allow_nan=False)
    assert asked.domain.candidate(json.loads(text)) == candidate
    record = Proposal(
        search="s",
        step=asked.step,
        trial="t",
        origin=pick.origin,
        config=candidate.config,
        architecture=candidate.architecture,
        recipe=candidate.recipe,
        samples=1,
    )
    assert Proposal.model_validate_json(record.model_dump_json()) == record
    return pick


@pytest.mark.parametrize("history", HISTORIES)
@pytest.mark.parametrize(("name", "surrogate"), CASES)
def test_proposes_a_free_network_after_any_history(name, surrogate, history):
    asked = state(make_domain("unet"), HISTORIES[history], surrogate)
    check(PROPOSERS[name], asked)


@pytest.mark.parametrize("family", TASKS)
@pytest.mark.parametrize(("name", "surrogate"), CASES)
def test_same_situation_same_answer(name, surrogate, family):
    answers = {
        json.dumps(check(PROPOSERS[name], state(make_domain(family), HISTORIES["ordinary"], surrogate))[0].config)
        for _ in range(2)
    }
    assert len(answers) == 1


@pytest.mark.parametrize("name", list(PROPOSERS))
def test_every_proposer_is_tested_here(name):
    assert name in {case for case, _ in CASES}


@pytest.mark.parametrize(("name", "surrogate"), CASES)
def test_another_seed_another_answer(name, surrogate):
    domain = make_domain("unet")
    keys = {PROPOSERS[name](state(domain, HISTORIES["nothing"], surrogate, 0, seed)).candidate.key for seed in (1, 2)}
    assert len(keys) == 2


@pytest.mark.parametrize("name", list(PROPOSERS))
def test_limits_hold(name):
    limits = {"parameters": 60_000, "macs": 150_000_000, "latency_ms": None}
    domain = make_domain("unet", limits)
    for scores in (HISTORIES["nothing"], HISTORIES["ordinary"]):
        cost = analyze(check(PROPOSERS[name], state(domain, scores)).candidate.architecture, [32, 32, 32])
        assert cost.parameters <= 60_000
        assert cost.macs <= 150_000_000


@pytest.mark.parametrize("name", list(PROPOSERS))
def test_global_random_state_is_neither_used_nor_changed(name):
    asked = state(make_domain("unet"), HISTORIES["ordinary"])
    np.random.seed(1)
    before = np.random.get_state()[1].tolist()
    first = PROPOSERS[name](asked)
    assert np.random.get_state()[1].tolist() == before
    np.random.seed(2)
    assert PROPOSERS[name](asked) == first


def only(parameters, kept):
    """The space with one value of everything but the kept parameters, and so without conditions."""
    fixed = {}
    for name, entry in parameters.items():
        values = entry["choices"][:1] if "choices" in entry else [entry["high"]]
        fixed[name] = {"choices": values} | {k: entry[k] for k in entry if k == "sets"}
    del fixed["muon_learning_rate"], fixed["sgd_learning_rate"]
    return fixed | kept


@pytest.mark.parametrize(("name", "surrogate"), CASES)
def test_small_space_is_searched_to_its_end_and_then_idle(name, surrogate):
    kept = {"base_width": {"choices": [4, 8]}, "activation": {"choices": ["relu", "silu"]}}
    domain = make_domain("unet", narrow=lambda p: only(p, kept))
    history = []
    for step in itertools.count():
        taken = frozenset(o.key for o in history)
        asked = SearchState(domain, tuple(history), (), taken, step, 0, 3, 2, surrogate)
        pick = PROPOSERS[name](asked)
        if pick is None:
            break
        assert pick.candidate.key not in taken
        history.append(Observation(step, pick.candidate.config, pick.candidate.key, math.sin(step)))
    assert len(history) == domain.space.size() == 4


@pytest.mark.parametrize("name", list(PROPOSERS))
def test_nothing_within_the_limits_is_idle(name):
    domain = make_domain("unet", {"parameters": 10, "macs": None, "latency_ms": None})
    assert PROPOSERS[name](state(domain, [], pending=0)) is None
