import pytest
from plans import input_view, run_plan, staged, volume_plan

from voxnas.arch.families.clip import Clip
from voxnas.benchmark.leaderboard import is_searched
from voxnas.core.architecture import network_key
from voxnas.core.errors import UserError
from voxnas.core.spec import SelectSpec
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_plan, read_record
from voxnas.search.chain import Chain, read_chain
from voxnas.search.select import ranked, select_finalists


@pytest.fixture
def finished(study):
    s = study(window=1)
    for name in ("bayesian", "random"):
        s.add_search(name, "random")
    s.add_search("baseline-unet", "random", baseline="unet")
    for name in ("bayesian", "random", "baseline-unet"):
        s.run(name, 4)
    return s


def chains(s, *names, steps=4):
    return {name: read_chain(s.paths, name, steps, steps) for name in names}


def select(s, found, plan=None, **changes):
    spec = read_record(s.paths.spec("select"), SelectSpec)
    return select_finalists(spec, plan or read_plan(s.paths.plan), None, found, **changes)


def test_the_best_of_each_search_by_identity(finished):
    found = chains(finished, "bayesian", "random", "baseline-unet")
    networks, left_out = select(finished, found)
    assert [n.name for n in networks] == ["bayesian-1", "bayesian-2", "random-1", "random-2", "unet"]
    assert [n.source for n in networks] == ["bayesian", "bayesian", "random", "random", "baseline-unet"]
    assert [n.rank for n in networks] == [1, 2, 1, 2, 1]
    assert left_out == []
    for name in ("bayesian", "random"):
        scores = sorted((r.score for r in found[name].results), reverse=True)
        assert [n.search_score for n in networks if n.source == name] == scores[:2]
    for network in networks:
        assert network.samples == 600  # the full budget, not the trial's 240
        keys = [p.key for p in found[network.source].proposals]
        assert network.key in keys


def test_two_searches_may_enter_the_same_network(finished):
    for step in range(1, 4):  # only the shared first trial is left
        for name in ("bayesian", "random"):
            finished.train(name, step, "FAILED")
    networks, _ = select(finished, chains(finished, "bayesian", "random"))
    assert [n.name for n in networks] == ["bayesian-1", "random-1"]
    assert networks[0].key == networks[1].key


def test_a_method_without_success_is_an_error_that_says_why(finished):
    for step in range(4):
        finished.train("random", step, "FAILED")
    with pytest.raises(UserError, match="'random' has no successful trial in 4 steps: diverged"):
        select(finished, chains(finished, "bayesian", "random"))
    with pytest.raises(UserError, match="in 0 steps: it has no trials"):
        select(finished, {"random": Chain((), ())})


def test_a_search_of_one_job_without_success_is_left_out_beside_others(finished):
    for step in range(4):
        finished.train("random", step, "FAILED")
    found = chains(finished, "bayesian", "random")
    networks, left_out = select(finished, {"darts": found["random"], "bayesian": found["bayesian"]})
    assert {n.source for n in networks} == {"bayesian"} and "darts is left out" in left_out[0]
    with pytest.raises(UserError, match="darts is left out, none of its trials succeeded: diverged"):
        select(finished, {"darts": found["random"]})


def test_a_baseline_without_success_is_left_out_and_named(finished):
    for step in range(4):
        finished.train("baseline-unet", step, "FAILED")
    networks, left_out = select(finished, chains(finished, "random", "baseline-unet"))
    assert [n.source for n in networks] == ["random", "random"]
    assert left_out == ["baseline-unet is left out, none of its trials succeeded: diverged"]


def test_stopped_counts_and_ties_are_broken_by_macs_then_key(finished):
    for step in range(4):
        finished.train("random", step, "STOPPED" if step == 2 else "DONE", score=0.5)
    trials = ranked(chains(finished, "random")["random"])
    order = [(r.macs, p.key) for p, r in trials]
    assert len(order) == 4
    assert order == sorted(order)


def test_a_network_that_was_tried_twice_is_entered_once(finished):
    paths = finished.paths
    first = read_record(paths.step("random", 0) / "proposal.json", Proposal)
    again = first.model_copy(update={"step": 1, "trial": "random-1"})
    results = [Result(state="DONE", key=first.key, score=score, macs=5) for score in (0.4, 0.6)]
    trials = ranked(Chain((first, again), tuple(results)))
    assert [(p.step, r.score) for p, r in trials] == [(1, 0.6)]


def test_trials_that_were_trained_longest_go_first_and_each_counts_once(finished):
    paths = finished.paths
    p = [read_record(paths.step("random", k) / "proposal.json", Proposal) for k in range(4)]
    more = [
        p[k].model_copy(update={"step": step, "origin": "promotion", "resume_from": k, "rung": 1})
        for step, k in ((4, 1), (5, 2), (6, 3))
    ]
    scores = [0.9, 0.7, 0.6, 0.8, 0.5, 0.55, None]
    results = [
        Result(state="FAILED" if s is None else "DONE", key=q.key, score=s, macs=5)
        for q, s in zip([*p, *more], scores, strict=True)
    ]
    chain = Chain((*p, *more), tuple(results))
    # Trial 3 failed on its way up; trial 0 has the best score of all, but of a short training.
    assert [(q.trial, r.score) for q, r in ranked(chain)] == [("random-2", 0.55), ("random-1", 0.5), ("random-0", 0.9)]


def test_with_several_objectives_finalists_are_chosen_along_the_front(finished):
    spec = read_record(finished.paths.spec("select"), SelectSpec)
    spec = spec.model_copy(update={"objectives": ("score", "parameters")})
    trials = chains(finished, "random")["random"].finished()
    by_size = sorted(trials, key=lambda pair: -pair[1].parameters)
    for (proposal, _), score in zip(by_size, (0.81, 0.805, 0.5, 0.8), strict=True):
        finished.train("random", proposal.step, score=score)
    found = chains(finished, "random", "baseline-unet")
    networks, _ = select_finalists(spec, read_plan(finished.paths.plan), None, found)
    assert [n.name for n in networks] == ["random-1", "random-2", "unet"]
    assert [n.key for n in networks[:2]] == [by_size[0][0].key, by_size[-1][0].key]
    assert [n.key for n in select(finished, found)[0][:2]] == [by_size[0][0].key, by_size[1][0].key]


def test_linear_baseline_has_no_search(finished):
    networks, _ = select(finished, chains(finished, "random"), volume_plan("classification"), direct=["linear"])
    linear = networks[-1]
    assert (linear.name, linear.source, linear.samples, linear.search_score) == ("linear", "linear", 1, None)
    assert linear.architecture.family == "linear"
    assert linear.architecture.out_channels == 2
    assert linear.recipe.loss == "ce"


def test_a_baseline_without_trials_enters_with_its_own_recipe(finished):
    networks, left_out = select(finished, {}, direct=["block-shift", "unet"])
    assert [(n.name, n.source, n.samples) for n in networks] == [
        ("block-shift", "baseline-block-shift", 600),
        ("unet", "baseline-unet", 600),
    ]
    assert networks[1].recipe.learning_rate == 2e-3 and networks[1].search_score is None
    assert left_out == []


def test_a_searched_network_with_time_is_followed_by_its_twin_without(finished):
    paths = finished.paths
    plan = run_plan({"clips": input_view((32, 48, 32), frames=6)})
    fields = staged([4, 8], strides=plan.strides[:2], kernels=plan.kernels[:2], view="clips", norm="group")
    found = {}
    for name, architecture in {"timed": Clip(**fields, temporal="conv"), "still": Clip(**fields)}.items():
        proposal = read_record(paths.step("random", 0) / "proposal.json", Proposal)
        proposal = proposal.model_copy(update={"architecture": architecture})
        chain = Chain((proposal,), (Result(state="DONE", key=proposal.key, score=0.5, macs=5),))
        found[name], left_out = select(finished, {"random": chain, "baseline-x": chain}, plan)
        assert left_out == []
    assert [n.name for n in found["still"]] == ["random-1", "x"]
    assert [n.name for n in found["timed"]] == ["random-1", "random-1-per-frame", "x"]
    whole, twin, _ = found["timed"]
    assert (twin.source, twin.rank, twin.recipe, twin.samples) == ("per-frame", 1, whole.recipe, 600)
    assert is_searched(whole.source) and not is_searched(twin.source)
    assert twin.key == network_key(twin.architecture, twin.recipe)
