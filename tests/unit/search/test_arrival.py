"""Order of arrival: any course of a search can be replayed, and no two of its jobs collide."""

import json
import multiprocessing
import os
import random
import signal
import time
from dataclasses import replace

import pytest
from formula_study import options

from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import StudySettings
from voxnas.core.spec import stage_spec
from voxnas.core.trial import Proposal, Result
from voxnas.io.records import read_record, write_json, write_text
from voxnas.operate.replay import replay
from voxnas.search import arrival
from voxnas.search.arrival import Arrivals, record_digest
from voxnas.search.chain import read_chain
from voxnas.search.propose import make_proposal
from voxnas.search.select import ranked
from voxnas.search.strategies.random import Random
from voxnas.search.summary import trials_table

PROMOTION = {"rungs": 3, "factor": 2}


def run_in_disorder(study, search, steps, workers, seed, failed=()):
    """Workers that take the steps in a random order and are done in a random order."""
    rng, waiting, running = random.Random(seed), list(range(steps)), []
    rng.shuffle(waiting)
    while waiting or running:
        if waiting and len(running) < workers:
            running.append(waiting.pop())
            study.begin(search, running[-1])
        else:
            step = running.pop(rng.randrange(len(running)))
            study.end(search, step, "FAILED" if step in failed else "DONE")


@pytest.mark.parametrize(("method", "seed"), [("random", 0), ("random", 1), ("bayesian", 0)])
def test_any_course_is_replayed(arriving, method, seed):
    s, steps = arriving(**options(**PROMOTION)), 14
    s.add_search(method, method)
    run_in_disorder(s, method, steps, workers=4, seed=seed, failed={3})
    found = replay(s.paths, method)
    assert not found.differences and found.proposals == steps
    assert str(found) == f"{method} (arrival): {steps} of {steps} proposals agree"
    proposals = Arrivals(s.paths, method).proposals()
    assert sorted(p.step for p in proposals) == list(range(steps))
    assert [p.known.order for p in proposals] == list(range(steps))
    begun = [p for p in proposals if p.rung == 0]
    assert len({p.key for p in begun}) == len({p.trial for p in begun}) == len(begun)
    continued = [p.resume_from for p in proposals if p.rung]
    assert continued and len(set(continued)) == len(continued)
    # Nothing that was there was left out, and what was pending is known.
    for order, p in enumerate(proposals):
        assert p.known.results.keys() | p.known.pending.keys() == {q.step for q in proposals[:order]}
        assert p.resume_from is None or p.resume_from in p.known.results
        assert len(p.known.pending) < 4


def test_the_tables_know_the_later_of_two_steps(arriving):
    """A step may continue one of a higher number."""
    s = arriving("random", **options(rungs=2, factor=2), start=False)
    *_, promoted, _ = s.arrive("random", 3, 2, 0, 1)
    assert promoted.resume_from in (2, 3)
    chain = read_chain(s.paths, "random", 4, 4)
    assert ranked(chain)[0][0].step == 0
    table = trials_table(chain)
    assert table.step.tolist() == [3, 2, 0, 1]
    assert table.added_samples.tolist() == [240] * 4
    assert table.samples.tolist() == [240, 240, 480, 240]


def test_the_first_to_arrive_gets_the_given_trial(arriving):
    s = arriving("random")
    assert [s.begin("random", step).origin for step in (2, 0, 1)] == ["start", "random", "random"]


def test_a_step_that_is_run_again_keeps_its_proposal(arriving):
    s = arriving()
    s.add_search("bayesian", "bayesian", **options(initial=2))
    for step in range(4):
        s.begin("bayesian", step)
    before = s.begin("bayesian", 4)
    for step in range(4):
        s.end("bayesian", step)
    s.file("bayesian", 4, "proposal").unlink()
    assert s.begin("bayesian", 4) == before
    assert s.begin("bayesian", 5).origin == "surrogate"
    assert not replay(s.paths, "bayesian").differences


def test_the_first_result_of_a_step_stands(arriving):
    s = arriving("random")
    proposal, first = s.begin("random", 0), s.end("random", 0)
    assert record_digest(proposal) == record_digest(read_record(s.file("random", 0, "proposal"), Proposal))
    again = first.model_copy(update={"score": 0.1})
    assert Arrivals(s.paths, "random").finish(0, again) == first


def test_curves_are_those_of_the_recorded_results(arriving, monkeypatch):
    """A strategy that reads a curve proposes the same again, whatever lies beside the step's result now."""
    s = arriving("random", start=False)
    curve = s.file("random", 0, "curve").with_suffix(".tsv")
    s.begin("random", 0)
    write_text(curve, "samples\tval_score\n240\t0.5\n")
    s.end("random", 0)
    draw = Random.__call__

    def read(self, state):
        return replace(draw(self, state), note=str([row["val_score"] for o in state.history for row in o.curve]))

    monkeypatch.setattr(Random, "__call__", read)
    write_text(curve, "samples\tval_score\n240\t0.7\n")
    assert s.begin("random", 1).note == "[0.5]"
    assert replay(s.paths, "random").differences == ("step 0 is another proposal now",)  # it had no note


def test_other_settings_begin_a_new_log_and_old_ones_find_theirs(arriving):
    s = arriving("random")
    run_in_disorder(s, "random", 4, 2, seed=0)
    before = Arrivals(s.paths, "random").proposals()
    s.add_search("random", "random", limits={"parameters": 90_000})
    assert Arrivals(s.paths, "random").proposals() == []
    s.begin("random", 0)
    s.add_search("random", "random")
    assert Arrivals(s.paths, "random").proposals() == before
    write_json(s.paths.spec("train"), stage_spec(StudySettings(seed=6), "train"))
    assert Arrivals(s.paths, "random").proposals() == []


def propose_after(barrier, root, step):
    barrier.wait()
    Arrivals(StudyPaths(root), "random").propose(step)


@pytest.mark.parametrize("steps", [range(8), [0, 0, 1, 1, 1, 2, 3, 3]])
def test_jobs_that_propose_at_once_do_not_collide(arriving, steps):
    """Real processes, some of the same step: one proposal a step, no network twice, no trial continued twice."""
    s = arriving("random", **options(**PROMOTION), start=False)
    for step in range(10, 16):
        s.begin("random", step)
    for step in range(10, 16):
        s.end("random", step)
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(len(steps))
    jobs = [context.Process(target=propose_after, args=(barrier, s.paths.root, step)) for step in steps]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join(120)
        assert job.exitcode == 0
    proposals = Arrivals(s.paths, "random").proposals()
    assert sorted(p.step for p in proposals) == [*sorted(set(steps)), *range(10, 16)]
    begun = [p.key for p in proposals if p.rung == 0]
    assert len(set(begun)) == len(begun)
    continued = [p.resume_from for p in proposals if p.rung]
    assert len(continued) >= 3 and len(set(continued)) == len(continued)
    assert not replay(s.paths, "random").differences


def test_a_job_killed_at_any_moment_blocks_nobody(arriving):
    s = arriving("random", start=False)
    context = multiprocessing.get_context("fork")
    rng = random.Random(0)
    for step in range(12):
        barrier = context.Barrier(2)
        job = context.Process(target=propose_after, args=(barrier, s.paths.root, step))
        job.start()
        barrier.wait()
        time.sleep(rng.uniform(0, 0.05))
        os.kill(job.pid, signal.SIGKILL)
        job.join()
        recorded = {p.step: p for p in Arrivals(s.paths, "random").proposals()}
        assert s.begin("random", step) == recorded.get(step, s.begin("random", step))
    assert len(Arrivals(s.paths, "random").proposals()) == 12
    assert not replay(s.paths, "random").differences


def test_a_name_that_is_taken_is_never_written_over(tmp_path):
    first, second = Result(state="DONE", score=1.0), Result(state="DONE", score=2.0)
    file = tmp_path / "log" / "0.json"
    assert arrival._add(file, first)
    assert not arrival._add(file, second)
    assert read_record(file, Result) == first
    assert [p.name for p in file.parent.iterdir()] == ["0.json"]


def test_an_answer_lost_by_the_file_system_is_a_success(tmp_path, monkeypatch):
    """NFS repeats a link whose answer was lost, and the repetition fails."""
    link = os.link

    def lost(source, target):
        link(source, target)
        raise FileExistsError(17, "File exists")

    monkeypatch.setattr(os, "link", lost)
    assert arrival._add(tmp_path / "0.json", Result(state="SKIPPED"))


def test_a_file_system_without_links_is_named(tmp_path, monkeypatch):
    def refuse(source, target):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    with pytest.raises(UserError, match=r"0\.json: Operation not permitted.*hard links"):
        arrival._add(tmp_path / "0.json", Result(state="SKIPPED"))
    assert not any(tmp_path.iterdir())


def changed(file, **changes):
    write_json(file, json.loads(file.read_text()) | changes)


def test_replay_says_what_does_not_agree(arriving):
    s = arriving("random")
    s.arrive("random", *range(4))
    folder = Arrivals(s.paths, "random").folder
    changed(folder / "results" / "2.json", score=0.5)
    found = replay(s.paths, "random")
    assert found.differences == ("step 3 was made from another result of step 2",)
    assert str(found) == "random (arrival): 3 of 4 proposals agree; step 3 was made from another result of step 2"
    changed(folder / "proposals" / "0.json", samples=1)
    assert replay(s.paths, "random").differences[0] == "step 0 is another proposal now"


def test_replay_of_strict_order(study):
    s = study("random")
    s.run("random", 5)
    assert str(replay(s.paths, "random")) == "random (strict): 5 of 5 proposals agree"
    assert "known" not in json.loads(s.file("random", 0, "proposal").read_text())
    changed(s.file("random", 2, "proposal"), samples=7)
    assert replay(s.paths, "random").differences == ("step 2 is another proposal now",)


def test_the_rule_propose_is_not_for_this_order(arriving):
    s = arriving("random")
    with pytest.raises(UserError, match="makes its proposal itself"):
        make_proposal(s.paths, "random", 0)
