"""Brackets of successive halving and of Hyperband, in searches whose steps are known by hand."""

import pytest

from voxnas.core.architecture import Recipe
from voxnas.search.base import Observation, SearchState, Suggestion
from voxnas.search.feasible import Candidate
from voxnas.search.strategies.halving import Halving
from voxnas.search.strategies.hyperband import Hyperband

CANDIDATE = Candidate({}, None, Recipe())


def run(promotion, steps, score=lambda step: step, window=1, left=99):
    """The steps of a search as (rung, continued step or None, samples), of which the last window - 1 are pending."""
    done = []
    for step in range(steps):
        history = tuple(done[: max(0, step - window + 1)])
        pending = tuple(done[len(history) :])
        state = SearchState(None, history, pending, step, 0, lambda candidate, share=1: 10 * share)
        new = None if sum(o.begins for o in done) >= left else Suggestion(CANDIDATE, origin="new")
        found = promotion(state, lambda state, new=new: new)
        if found is None:
            break
        before = None if found.continue_step is None else done[found.continue_step]
        rung, trial = (found.rung, f"t{step}") if before is None else (before.rung + 1, before.trial)
        value = score(step)
        scores = {} if value is None else {"score": value}
        samples = found.samples or 10
        done.append(Observation(step, trial, CANDIDATE, "", rung, found.continue_step, "DONE", scores, samples=samples))
        assert found.resumable == (rung < promotion.rungs - 1)
    return [(o.rung, o.resume_from, o.samples) for o in done]


def test_a_bracket_keeps_the_best_third_of_each_rung():
    steps = run(Halving(rungs=3, factor=3), 14)
    assert steps[:9] == [(0, None, 10)] * 9
    assert steps[9:12] == [(1, k, 30) for k in (8, 7, 6)]
    assert steps[12:] == [(2, 11, 90), (0, None, 10)]  # then the next bracket


def test_the_next_bracket_begins_where_results_are_pending():
    steps = run(Halving(rungs=2, factor=3), 6, window=2)
    assert [before for _, before, _ in steps] == [None, None, None, None, 2, None]


def test_failed_trials_take_a_place_and_are_not_continued():
    steps = run(Halving(rungs=2, factor=3), 5, score=lambda step: None if step < 3 else step)
    assert [before for _, before, _ in steps] == [None] * 5
    steps = run(Halving(rungs=2, factor=3), 4, score=lambda step: 1.0 if step == 0 else None)
    assert steps[3] == (1, 0, 30)


def test_the_last_bracket_is_promoted_where_the_space_is_exhausted():
    assert run(Halving(rungs=2, factor=3), 9, left=5) == [
        (0, None, 10), (0, None, 10), (0, None, 10), (1, 2, 30), (0, None, 10), (0, None, 10),
    ]  # fmt: skip
    assert run(Halving(rungs=2, factor=2), 9, left=1) == [(0, None, 10)]


def test_hyperband_begins_later_brackets_on_higher_rungs():
    """Nine short trials, then five that begin on rung 1, then three in full, then nine short ones again."""
    steps = run(Hyperband(rungs=3, factor=3), 23)
    assert steps[9:13] == [(1, 8, 30), (1, 7, 30), (1, 6, 30), (2, 11, 90)]
    assert steps[13:19] == [(1, None, 30)] * 5 + [(2, 17, 90)]
    assert steps[19:] == [(2, None, 90)] * 3 + [(0, None, 10)]


@pytest.mark.parametrize("fits", [True, False])
def test_a_worker_without_the_time_continues_no_trial(fits, monkeypatch):
    monkeypatch.setattr(SearchState, "fits", lambda self, architecture, samples: fits or samples < 20)
    steps = run(Halving(rungs=2, factor=3), 4)
    assert steps[3] == ((1, 2, 30) if fits else (0, None, 10))
