"""The step chain over real files: determinism, the window, deleted and late results."""

import json
import random
import shutil
import subprocess
import sys

import numpy as np
import pytest
from formula_study import options
from plans import calibration, limit, space_file, volume_plan

from voxnas.arch.search_space import SearchSpace
from voxnas.cli.main import main
from voxnas.complexity.calibration import predict_training_mib
from voxnas.core.errors import UserError
from voxnas.core.trial import Result
from voxnas.io.records import read_plan, read_record, write_json, write_text
from voxnas.search.base import Suggestion
from voxnas.search.chain import finished_steps, read_chain
from voxnas.search.feasible import FeasibleSpace
from voxnas.search.propose import Search, make_proposal
from voxnas.search.strategies.random import Random

STEPS = 10


@pytest.mark.parametrize("window", [1, 2, 3])
def test_proposing_again_and_extending_a_search_give_the_same_bytes(study, window):
    s = study("bayesian", window=window)
    s.run("bayesian", STEPS)
    before = s.proposals("bayesian", STEPS)
    # All results exist now, also those that were not there when a proposal was first made.
    for k in range(STEPS):
        s.propose("bayesian", k)
    assert s.proposals("bayesian", STEPS) == before
    s.run("bayesian", STEPS + 3)
    assert s.proposals("bayesian", STEPS) == before


@pytest.mark.parametrize("window", [1, 3])
def test_losing_any_result_changes_nothing(study, window):
    s = study("bayesian", window=window)
    s.run("bayesian", 8)
    before = s.proposals("bayesian", 8)
    for lost in (0, 3, 7):
        s.file("bayesian", lost, "result").unlink()
        s.train("bayesian", lost)
        for k in range(lost, 8):
            s.propose("bayesian", k)
        assert s.proposals("bayesian", 8) == before


def test_the_order_of_arrival_does_not_matter(study):
    s = study("bayesian", window=3)
    s.run("bayesian", STEPS)
    before = s.proposals("bayesian", STEPS)
    shutil.rmtree(s.paths.root / "search")
    # A scheduler that finishes any running step first, and proposes as soon as it may.
    rng = random.Random(1)
    proposed, done = 0, set()
    while len(done) < STEPS:
        while proposed < STEPS and (proposed < 3 or done >= set(range(proposed - 2))):
            s.propose("bayesian", proposed)
            proposed += 1
        k = rng.choice([k for k in range(proposed) if k not in done])
        s.train("bayesian", k)
        done.add(k)
    assert s.proposals("bayesian", STEPS) == before


def test_results_newer_than_the_window_are_never_read(study):
    s = study("bayesian", window=3)
    s.run("bayesian", 8)
    before = s.proposals("bayesian", 8)
    s.file("bayesian", 5, "result").write_text("broken")
    s.propose("bayesian", 7)  # knows the results 0 .. 4
    assert s.proposals("bayesian", 8) == before
    with pytest.raises(UserError, match=r"5/result\.json is not JSON"):
        make_proposal(s.paths, "bayesian", 8)


def test_phases_of_a_bayesian_search(study):
    s = study("bayesian", window=1, **options(initial=3))
    s.run("bayesian", 6)
    proposals = s.records("bayesian", 6)
    assert [p.origin for p in proposals] == ["start", "design", "design", "design", "surrogate", "surrogate"]
    assert [p.trial for p in proposals] == [f"bayesian-{k}" for k in range(6)]
    assert all(p.samples == 240 for p in proposals)
    assert len({p.key for p in proposals}) == 6


@pytest.mark.parametrize("window", [1, 3])
def test_no_network_is_proposed_twice(study, window):
    s = study("bayesian", "random", window=window)
    for name in ("bayesian", "random"):
        s.run(name, STEPS)
        assert len({p.key for p in s.records(name, STEPS)}) == STEPS


def test_both_methods_share_the_first_trial_and_only_that(study):
    s = study("bayesian", "random")
    for name in ("bayesian", "random"):
        s.run(name, 4)
    bayesian, random_ = s.records("bayesian", 4), s.records("random", 4)
    assert bayesian[0].key == random_[0].key
    assert bayesian[0].origin == random_[0].origin == "start"
    assert {p.key for p in bayesian[1:]}.isdisjoint(p.key for p in random_[1:])


def test_without_a_start_the_first_step_is_the_methods_own(study):
    s = study("random", "bayesian", start=False)
    assert s.propose("random", 0).origin == "random"
    assert s.propose("bayesian", 0).origin == "design"


def test_a_start_beyond_the_limits_is_not_proposed(study):
    s = study("random", limits={"parameters": 3_000})
    assert s.propose("random", 0).origin in ("random", "idle")


def test_baseline_search_keeps_the_architecture_and_varies_the_recipe(study):
    s = study(limits={"parameters": 1_000})
    s.add_search("baseline-unet", "random", baseline="unet")
    s.run("baseline-unet", 5)
    proposals = s.records("baseline-unet", 5)
    assert proposals[0].origin == "start"
    assert len({p.architecture for p in proposals}) == 1
    assert len({p.recipe for p in proposals}) == 5


def test_baseline_search_by_the_bayesian_method(study):
    s = study(window=1, **options(initial=2))
    s.add_search("baseline-unet", "bayesian", baseline="unet")
    s.run("baseline-unet", 5)
    assert [p.origin for p in s.records("baseline-unet", 5)] == ["start", *["design"] * 2, *["surrogate"] * 2]


def test_failed_trials_are_observed_without_a_score(study):
    s = study("bayesian", window=1)
    s.run("bayesian", 6, failed={0, 2})
    seen = read_chain(s.paths, "bayesian", 6, 6).observations()
    assert [o.step for o in seen if o.state == "FAILED" and not o.scores] == [0, 2]
    assert all("score" in o.scores for o in seen if o.step not in (0, 2))
    assert len({p.key for p in s.records("bayesian", 6)}) == 6


def test_a_result_of_another_network_is_refused(study):
    s = study("random", window=1)
    s.run("random", 2)
    shutil.copy(s.file("random", 1, "result"), s.file("random", 0, "result"))
    with pytest.raises(UserError, match="its proposal to"):
        make_proposal(s.paths, "random", 2)


def test_steps_without_a_feasible_network_are_idle_and_skipped(study):
    s = study()
    s.add_search("random", "random", limits={"parameters": 10})
    s.run("random", 3)
    assert [p.origin for p in s.records("random", 3)] == ["idle"] * 3
    assert json.loads(s.file("random", 0, "proposal").read_text())["architecture"] is None
    file = s.file("random", 0, "result")
    file.unlink()
    step = ["--search", "random", "--step", "0", "--output", str(file)]
    assert main(["step", "--study", str(s.paths.root), *step]) == 0
    assert read_record(file, Result).state == "SKIPPED"


def test_limits_on_latency_and_memory_need_a_calibration_and_hold(study):
    s = study("random", limits={"parameters": None, "latency_ms": 5.0})
    with pytest.raises(UserError, match=r"latency_ms = 5.0 needs a calibration"):
        make_proposal(s.paths, "random", 0)
    s.add_search("random", "random", limits={"parameters": None, "memory_mib": 60.0})
    with pytest.raises(UserError, match=r"memory_mib = 60.0 needs a calibration"):
        make_proposal(s.paths, "random", 0)
    record = calibration(memory={"factor": 1.1, "bf16": True, "cuda": False, "table": ()})
    write_json(s.paths.calibration, record)
    s.run("random", 4)
    plan = read_plan(s.paths.plan)
    needed = [predict_training_mib(record, p.architecture, plan.patch) for p in s.records("random", 4)]
    assert max(needed) <= 60.0
    space = SearchSpace.from_dict(s.space)
    rng = np.random.default_rng(0)
    drawn = [space.decode(space.sample(rng), plan)[0] for _ in range(20)]
    assert max(predict_training_mib(record, a, plan.patch) for a in drawn) > 60.0


def test_finished_steps_stops_at_the_first_gap(study):
    s = study("random")
    s.run("random", 4)
    s.file("random", 2, "result").unlink()
    assert finished_steps(s.paths, "random") == 2
    assert finished_steps(s.paths, "bayesian") == 0


def test_cheap_proposals_import_neither_skopt_nor_torch(study):
    s = study("bayesian", "random", **options(initial=4))
    s.run("bayesian", 3)
    code = (
        "import sys; from pathlib import Path; from voxnas.core.paths import StudyPaths\n"
        "from voxnas.search.propose import Search, make_proposal\n"
        f"paths = StudyPaths(Path({str(s.paths.root)!r}))\n"
        "origins = [make_proposal(paths, n, k).origin for n, k in (('random', 0), ('bayesian', 0), ('bayesian', 2))]\n"
        "assert origins == ['start', 'start', 'design'], origins\n"
        "heavy = {'skopt', 'torch', 'sklearn', 'monai'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_history_is_sorted_by_step_whatever_the_file_system_says(study):
    s = study("random", window=1)
    s.run("random", 3)
    before = make_proposal(s.paths, "random", 3)
    for k in (2, 0, 1):  # new modification times, in another order
        path = s.file("random", k, "result")
        write_json(path, json.loads(path.read_text()))
    assert make_proposal(s.paths, "random", 3) == before


def test_a_space_of_networks_on_clips_needs_clips():
    space = SearchSpace.from_dict(space_file("clip"), "clip.yaml")
    with pytest.raises(UserError, match="family clip reads clips"):
        FeasibleSpace(space, volume_plan("regression"), limit())


def test_observations_have_scores_costs_and_a_curve_that_is_read_when_asked_for(study):
    s = study("random", window=1)
    s.run("random", 3, failed={1})
    write_text(s.file("random", 0, "curve").with_suffix(".tsv"), "samples\tval_score\n120\t0.5\n240\tn/a\n")
    first, failed, last = read_chain(s.paths, "random", 3, 3).observations()
    result = read_record(s.file("random", 0, "result"), Result)
    assert first.scores == {"score": result.score} and first.score == result.score
    assert first.costs == {"parameters": result.parameters, "macs": result.macs, "samples": 240, "cpu_seconds": 1.5}
    assert first.curve == ({"samples": 120.0, "val_score": 0.5}, {"samples": 240.0})
    assert (failed.state, failed.score, failed.scores) == ("FAILED", None, {})
    with pytest.raises(UserError, match=r"2/curve\.tsv does not exist"):
        last.curve  # noqa: B018


def test_a_strategy_cannot_continue_what_is_not_finished(study, monkeypatch):
    s = study("random", window=2)
    s.run("random", 3)
    with pytest.raises(ValueError, match="must state the samples to reach"):
        Suggestion(continue_step=1)
    monkeypatch.setattr(Random, "__call__", lambda self, state: Suggestion(continue_step=2, samples=480))
    with pytest.raises(ValueError, match="step 3 cannot continue step 2"):
        make_proposal(s.paths, "random", 3)
    monkeypatch.setattr(Random, "__call__", lambda self, state: Suggestion(continue_step=1, samples=480))
    again = make_proposal(s.paths, "random", 3)
    assert (again.resume_from, again.rung, again.samples, again.trial) == (1, 1, 480, "random-1")


def test_with_soft_constraints_strategies_see_the_reward_and_the_records_keep_the_score(study):
    several = {"objectives": ["score", "parameters"], "targets": {"parameters": {"value": 50_000, "exponent": 0.5}}}
    s = study("random", window=1, **several)
    s.run("random", 3)
    search, chain = Search.read(s.paths, "random"), read_chain(s.paths, "random", 3, 3)
    state = search.state(chain, 3)
    rewards = [r.score * (r.parameters / 50_000) ** -0.5 for r in chain.results]
    assert [o.score for o in state.history] == pytest.approx(rewards) and state.objectives == ("score",)
    assert search.objectives == ("score", "parameters")  # of the front and the finalists
    (s.paths.step("random", 0) / "curve.tsv").write_text("samples\tval_score\n9\t0.5\n")
    factor = (chain.results[0].parameters / 50_000) ** -0.5
    (row,) = search.state(read_chain(s.paths, "random", 3, 3), 3).history[0].curve
    assert row == pytest.approx({"samples": 9, "val_score": 0.5 * factor})
    s.add_search("baseline-unet", "random", "unet", **several)
    s.run("baseline-unet", 2)
    recipes, chain = Search.read(s.paths, "baseline-unet"), read_chain(s.paths, "baseline-unet", 2, 2)
    assert [o.score for o in recipes.state(chain, 2).history] == [r.score for r in chain.results]
