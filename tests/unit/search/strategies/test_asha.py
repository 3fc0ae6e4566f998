"""Asynchronous successive halving: the rule on tables worked out by hand, and chains over real files."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from formula_study import options

from voxnas.core.architecture import Recipe
from voxnas.core.trial import Result
from voxnas.io.records import read_record
from voxnas.search.base import Observation, SearchState
from voxnas.search.chain import Chain
from voxnas.search.feasible import Candidate
from voxnas.search.strategies.asha import Asha
from voxnas.search.strategies.halving import best_of

CANDIDATE = Candidate({}, None, Recipe())


def table(*rows):
    """Steps as (rung, score, continued step or None); a score "failed", or "pending"."""
    steps = []
    for step, (rung, score, before) in enumerate(rows):
        state = {"failed": "FAILED", "pending": "PENDING"}.get(score, "DONE")
        scores = {"score": score} if state == "DONE" else {}
        steps.append(Observation(step, "t", CANDIDATE, "", rung, before, state, scores))
    return state_of(*([o for o in steps if (o.state == "PENDING") == waits] for waits in (False, True)), len(rows))


def state_of(history, pending, step):
    return SearchState(None, tuple(history), tuple(pending), step, 0, lambda candidate, share=1: share)


def new(*scores):
    return [(0, score, None) for score in scores]


def test_each_step_of_a_trial_pays_for_its_own_start():
    """A budget of 10 pays 8 samples beside a start of 2; a promotion by a factor of 3 pays 20 - 2 further ones."""
    first = table(*new(0.1, 0.3, 0.2))
    state = SearchState(None, first.history, (), 3, 0, lambda candidate, share=1: 10 * share - 2)
    assert Asha()(state, None).samples == 8 + 18


def test_with_several_objectives_a_trial_of_the_front_is_promoted_before_the_dominated_ones():
    """Costs 9, 8, 7, 1, 5, 6: the cheapest trial has the worst score, and with the best one it ends the front."""
    state = table(*new(0.9, 0.5, 0.4, 0.1, 0.3, 0.2))
    costs = (9, 8, 7, 1, 5, 6)
    steps = [replace(o, candidate=Candidate({}, cost, Recipe())) for o, cost in zip(state.history, costs, strict=True)]
    space = SimpleNamespace(amount=lambda architecture, name: architecture)
    several = replace(state, history=tuple(steps), feasible=space, objectives=("score", "macs"))
    assert [o.step for o in several.best_first(steps)][:2] == [0, 3]
    assert [o.step for o in several.best_first(steps)][-1] == 5
    assert [o.step for o in state.best_first(steps)] == [0, 1, 2, 4, 5, 3]
    assert [o.step for o in best_of(several, steps, 3)] == [0, 3]


BY_HAND = {
    "nothing known": ([], None),
    "floor of 2 / 3 is none": (new(0.1, 0.2), None),
    "the best of three": (new(0.1, 0.3, 0.2), 1),
    "the earlier of equals": (new(0.1, 0.3, 0.3), 1),
    "one of five": (new(0.1, 0.3, 0.2, 0.4, 0.0), 3),
    "the best was promoted, still one of five": ([*new(0.1, 0.3, 0.2, 0.25, 0.0), (1, 0.5, 1)], None),
    "the second of six": ([*new(0.1, 0.3, 0.2, 0.25, 0.0, 0.1), (1, 0.5, 1)], 3),
    "promoted and pending is promoted": ([*new(0.1, 0.3, 0.2), (1, "pending", 1)], None),
    "pending trials do not count": (new(0.1, 0.3, "pending"), None),
    "a newcomer passes the promoted one": ([*new(0.1, 0.3, 0.2), (1, 0.5, 1), (0, 0.9, None)], 4),
    "failures count as worst": (new("failed", "failed", 0.2), 2),
    "failures are not promoted": (new("failed", "failed", "failed"), None),
    "two of six, one of them failed": ([*new("failed", 0.2, *["failed"] * 4), (1, 0.5, 1)], None),
    "the highest rung first": ([*new(*[0.1 * k for k in range(1, 10)]), *[(1, 0.5 + k, k) for k in (8, 7, 6)]], 9),
    "the top rung goes nowhere": (
        [*new(*[0.1 * k for k in range(1, 10)]), *[(1, 0.5 + k, k) for k in (8, 7, 6)], (2, 0.9, 9)],
        None,
    ),
    "a failure on the rung above": ([*new(0.1, 0.3, 0.2), (1, "failed", 1), *new(0.4, 0.1, 0.1)], 4),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_the_rule_by_hand(case):
    rows, wanted = BY_HAND[case]
    found = Asha(rungs=3, factor=3).to_promote(table(*rows))
    assert (None if found is None else found.step) == wanted


@pytest.mark.parametrize("method", ["random", "bayesian"])
@pytest.mark.parametrize("window", [1, 3])
def test_chains_with_promotions(study, window, method):
    rule = {"rungs": 3, "factor": 2}
    s = study(window=window, **options(**rule))
    s.add_search(method, method)
    steps = 14
    s.run(method, steps, failed={1, 6})
    proposals = s.records(method, steps)
    assert {p.rung for p in proposals} == {0, 1, 2}
    # Every step is what the rule says, from the results of its window alone.
    results = [read_record(s.file(method, k, "result"), Result) for k in range(steps)]
    for k, p in enumerate(proposals):
        chain = Chain(tuple(proposals[:k]), tuple(results[: max(0, k - window + 1)]))
        promoted = Asha(**rule).to_promote(state_of(chain.observations(), chain.pending(), k))
        assert p.resume_from == (None if promoted is None else promoted.step)
        assert (p.origin == "promotion") == (p.rung > 0) == (p.resume_from is not None)
        assert p.samples == 240 * 2**p.rung
        assert p.resumable == (p.rung < 2)
        if promoted is not None:
            assert (p.trial, p.key, p.rung) == (promoted.trial, promoted.candidate.key, promoted.rung + 1)
            assert k - p.resume_from >= window
    continued = [p.resume_from for p in proposals if p.rung]
    assert len(set(continued)) == len(continued)
    begun = [p for p in proposals if not p.rung]
    assert len({p.key for p in begun}) == len({p.trial for p in begun}) == len(begun)
    # Made again with all files there, and extended: the same bytes.
    before = s.proposals(method, steps)
    for k in reversed(range(steps)):
        s.propose(method, k)
    assert s.proposals(method, steps) == before
    s.run(method, steps + 3, failed={1, 6})
    assert s.proposals(method, steps) == before


def test_promotions_do_not_use_up_the_design(study):
    s = study("bayesian", window=1, **options(initial=5, rungs=2, factor=2))
    s.run("bayesian", 10)
    origins = [p.origin for p in s.records("bayesian", 10) if p.rung == 0]
    assert origins == ["start", *["design"] * 5, *["surrogate"] * (len(origins) - 6)]
    assert len(origins) < 10


def test_a_random_search_draws_the_same_networks_whatever_is_promoted(study):
    s = study("random", window=1)
    s.run("random", 8)
    plain = [p.key for p in s.records("random", 8)]
    s.add_search("random", "random", **options(rungs=2, factor=2))
    s.run("random", 8)
    mixed = s.records("random", 8)
    assert any(p.rung for p in mixed)
    assert all(p.key == key for p, key in zip(mixed, plain, strict=True) if p.rung == 0)


def test_recipes_of_a_baseline_are_promoted_by_the_same_rule(study):
    s = study(window=1, **options(rungs=2, factor=2))
    s.add_search("baseline-unet", "random", baseline="unet")
    s.run("baseline-unet", 6)
    proposals = s.records("baseline-unet", 6)
    assert len({p.architecture for p in proposals}) == 1
    assert any(p.rung for p in proposals)


def test_an_exhausted_space_still_promotes(study):
    s = study(window=1, **options(rungs=2, factor=2))
    s.space = {"family": "unet", "parameters": {**s.space["parameters"]}}
    for name, entry in s.space["parameters"].items():
        if isinstance(entry, dict) and name != "activation":
            fixed = {"choices": entry["choices"][:1] if "choices" in entry else [entry["high"]]}
            s.space["parameters"][name] = {k: v for k, v in entry.items() if k in ("sets", "when")} | fixed
    s.add_search("random", "random", start=False)
    steps = 8
    for k in range(steps):
        s.propose("random", k)
        s.train("random", k)
    origins = [p.origin for p in s.records("random", steps)]
    networks = origins.count("random")
    assert 2 <= networks == len(s.space["parameters"]["activation"]["choices"])
    assert origins.count("promotion") == networks // 2
    assert set(origins[networks + networks // 2 :]) == {"idle"}
