"""Freeze-thaw: what is continued, on tables of trials, and a whole search on synthetic curves."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from voxnas.core.architecture import Recipe
from voxnas.search.base import Observation, SearchState, Suggestion
from voxnas.search.feasible import Candidate
from voxnas.search.strategies.asha import Asha
from voxnas.search.strategies.freeze_thaw import FreezeThaw

CANDIDATE = Candidate({}, None, Recipe())
NEW = Suggestion(CANDIDATE, origin="new")


def trial(step, score, curve=(), **changes):
    """A trial after its first step of 100 samples; a score of None: it failed."""
    rows = tuple({"samples": samples, "val_score": value} for samples, value in curve)
    found = {"state": "FAILED"} if score is None else {"state": "DONE", "scores": {"score": score}}
    given = {"candidate": CANDIDATE, "samples": 100, "read_curve": lambda: rows, **found, **changes}
    return Observation(step, f"t{step}", **given)


def decide(*history, objectives=("score",), feasible=None, worker=None, new=NEW, **options):
    state = SearchState(
        feasible, history, (), len(history), 0, lambda candidate, share=1: 100 * share, worker, objectives
    )
    return FreezeThaw(**options)(state, lambda state: new)


ORDINARY = (0.50, 0.52, 0.49, 0.51, 0.50, 0.48, 0.53)


def test_a_trial_that_stands_out_is_continued_and_an_average_one_is_not():
    found = decide(*map(trial, range(8), [*ORDINARY, 0.70]))
    assert (found.continue_step, found.samples, found.resumable, found.origin) == (7, 300, True, "thaw")
    rung = replace(trial(8, 0.75), trial="t7", rung=1, resume_from=7, samples=300)
    top = replace(trial(9, 0.78), trial="t7", rung=2, resume_from=8, samples=900)
    rows = [*map(trial, range(8), [*ORDINARY, 0.70]), rung, top]
    assert decide(*rows).candidate is CANDIDATE
    assert decide(*rows, trial(10, 0.80)).continue_step == 10
    assert decide(*map(trial, range(2), [0.5, 0.9])).candidate is CANDIDATE  # fewer trials than `factor`


def test_a_rising_curve_is_continued_before_a_flat_one_with_a_better_score():
    others = [trial(k, score, [(s, score - 0.1 + 0.001 * s) for s in (25, 50, 75)]) for k, score in enumerate(ORDINARY)]
    flat = trial(7, 0.66, [(25, 0.66), (50, 0.66), (75, 0.66)])
    rising = trial(8, 0.65, [(25, 0.2), (50, 0.4), (75, 0.55)])
    assert decide(*others, flat, rising).continue_step == 8


def test_only_frozen_trials_below_the_last_rung_are_continued():
    best = trial(7, 0.7)
    rows = list(map(trial, range(7), ORDINARY))
    after = replace(best, step=8, rung=1, resume_from=7, samples=300)
    found = decide(*rows, best, after, new=None)
    assert (found.continue_step, found.samples, found.resumable) == (8, 900, False)
    assert decide(*rows, best, replace(after, scores={}, state="FAILED"), new=None).continue_step == 6
    assert decide(*rows, best, after, new=None, rungs=2).continue_step == 6
    assert decide(trial(0, None), new=None) is None
    assert decide(trial(0, None)).resumable


def test_a_worker_without_the_time_continues_another_trial():
    slow = replace(CANDIDATE, architecture="slow")
    worker = SimpleNamespace(fits=lambda architecture, size, samples: architecture != "slow")
    rows = [trial(k, s, candidate=slow if k == 7 else CANDIDATE) for k, s in enumerate([*ORDINARY, 0.9])]
    assert decide(*rows, new=None).continue_step == 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SearchState, "fits", lambda self, architecture, samples: architecture != "slow")
        assert decide(*rows, worker=worker, new=None).continue_step == 6


def test_with_several_objectives_a_cheap_trial_of_the_front_is_continued():
    """The trial with the second score costs a hundredth of the others."""
    space = SimpleNamespace(amount=lambda architecture, name: architecture)
    scores = [*ORDINARY, 0.56, 0.55]
    rows = [trial(k, s, candidate=Candidate({}, 1 if k == 8 else 100, Recipe())) for k, s in enumerate(scores)]
    assert decide(*rows, new=None).continue_step == 7
    both = {"objectives": ("score", "macs"), "feasible": space, "new": None}
    assert decide(*rows, **both).continue_step == 8


def search(promotion, seed, budget=150):
    """Best full score of a search within a budget of first steps, on curves of which the steep ones start low."""
    rng = np.random.default_rng(seed)
    ends = rng.normal(0.8, 0.05, 400)
    gains = 0.2 + 1.5 * np.maximum(ends - 0.8, 0) + rng.normal(0, 0.02, 400)

    def score(i, samples):
        return float(ends[i] - gains[i] * ((samples / 900) ** -0.5 - 1) / 5)

    done, spent, best, begun = {}, 0, 0.0, 0
    while spent < budget * 100:
        step = len(done)
        state = SearchState(None, tuple(done.values()), (), step, 0, lambda candidate, share=1: 100 * share)
        found = promotion(state, lambda state: NEW)
        if found.candidate is None:
            before, samples = done[found.continue_step], found.samples
            number, trial_name, rung = before.costs["number"], before.trial, before.rung + 1
        else:
            before, samples, number, trial_name, rung = None, 100, begun, f"t{step}", 0
            begun += 1
        spent += samples - (0 if before is None else before.samples)
        shares = [s for s in range(25, samples, 25)]
        rows = tuple({"samples": s, "val_score": score(number, s)} for s in shares)
        done[step] = Observation(
            step, trial_name, CANDIDATE, "", rung, found.continue_step, "DONE", {"score": score(number, samples)},
            {"number": number}, samples, lambda rows=rows: rows,
        )  # fmt: skip
        if samples == 900:
            best = max(best, ends[number])
    return best


def test_a_search_ends_with_a_better_network_than_successive_halving():
    seeds = (0, 5)
    mine = [search(FreezeThaw(), seed) for seed in seeds]
    halving = [search(Asha(rungs=3, factor=3), seed) for seed in seeds]
    assert np.mean(mine) > np.mean(halving)


def test_a_chain_over_real_files_continues_trials_and_is_made_again_byte_for_byte(study):
    s = study(window=2, promotion="freeze_thaw", options={"freeze_thaw": {"rungs": 2, "factor": 2}})
    s.add_search("random", "random")
    for k in range(12):
        s.propose("random", k)
        s.train("random", k)
        curve = s.paths.step("random", k) / "curve.tsv"
        curve.write_text(f"samples\tval_score\n9\t0.{k}\n")
    proposals = s.records("random", 12)
    assert {p.rung for p in proposals} == {0, 1}
    assert {p.origin for p in proposals if p.rung} == {"thaw"}
    continued = [p.resume_from for p in proposals if p.rung]
    assert len(set(continued)) == len(continued)
    before = s.proposals("random", 12)
    for k in reversed(range(12)):
        s.propose("random", k)
    assert s.proposals("random", 12) == before
