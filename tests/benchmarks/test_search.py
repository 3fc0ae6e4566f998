"""The benchmark of search methods: its clock, its cache of equal networks, and its reading of the strategies."""

import argparse
import itertools
from functools import partial

import numpy as np
import pandas as pd
import problem as problems
import pytest
from clock import simulate
from methods import HalfShort, Method, Ours, Question
from replay import Run, run
from table import cost_to, regret_at

from voxnas.core.architecture import FAMILIES
from voxnas.core.strategies import STRATEGIES


@pytest.fixture(autouse=True)
def families(monkeypatch):
    """Other tests run over the registered families: the one of the benchmark leaves with its tests."""
    built_in = list(FAMILIES)  # registered at the first access
    monkeypatch.setattr(FAMILIES, "_objects", {name: FAMILIES[name] for name in built_in})


GOAL = argparse.Namespace(evaluations=12, workers=1, loss=0.0)


def table(**columns):
    """All 27 combinations of three names, scored by their sum; the first parameter makes no difference beyond 'y'."""
    rows = pd.DataFrame(itertools.product("xyz", "xyz", "xyz"), columns=["a", "b", "c"])
    rank = rows.apply(lambda column: column.map("xyz".index))
    rows["same"] = (rank.a.clip(upper=1) * 9 + rank.b * 3 + rank.c).to_numpy()
    rows["short"] = rank.a.clip(upper=1) + rank.b + rank.c
    rows["long"] = 2.0 * rows.short
    return rows.assign(**columns)


def make(scores=("short",), epochs=(1,), **columns):
    return problems.any_table(table(**columns), ["a", "b", "c"], scores, epochs, same="same")


@pytest.mark.parametrize(
    ("order", "known", "waiting"),
    [
        ("rounds", {0: [], 1: [], 2: [0, 1], 3: [0, 1], 4: [0, 1, 2, 3], 5: [0, 1, 2, 3]}, 2.5),
        ("strict", {0: [], 1: [], 2: [0], 3: [0, 1], 4: [0, 1, 2], 5: [0, 1, 2, 3]}, 2.5),
        ("arrival", {0: [], 1: [], 3: [1], 5: [1, 3], 2: [0, 1, 3, 5], 4: [0, 1, 2, 3, 5]}, 1.5),
    ],
)
def test_what_each_proposal_knows_and_how_long_workers_wait(order, known, waiting):
    asked = {}
    seconds = [3.5, 1.0, 1.0, 1.0, 2.0, 1.0]
    course = simulate(order, 2, 2, seconds, propose=lambda step, seen: asked.update({step: sorted(seen)}))
    assert asked == known
    assert course.waiting == pytest.approx(waiting) and course.held - course.waiting == pytest.approx(sum(seconds))


class Stubborn(Method):
    """Asks for the same network in two spellings, and counts what it is told."""

    def __init__(self, problem):
        super().__init__(problem, 0)
        self.told, self.turn = [], itertools.count()

    def ask(self):
        recipe = {p.name: p.choices[0] for p in self.space.parameters if p.fixed}
        return Question({**recipe, "a": "yz"[next(self.turn) % 2], "b": "x", "c": "x"}, 0, "mine")

    def tell(self, question, score):
        self.told.append((question.config["a"], score))


@pytest.mark.parametrize("workers", [1, 2])
def test_a_network_is_paid_once_and_told_at_each_question(workers):
    method = Stubborn(make())
    driven = Run(method.problem, method, 0, 3, 0.0, [1.0] * 4)
    simulate("arrival", workers, workers, driven.durations, propose=driven.propose)
    driven.finish(sorted(driven.pending))
    # The other evaluations are drawn, of networks that the method did not ask for; it is not told about them.
    assert len(driven.scores) == driven.cost == 3
    assert len(method.told) > 10 and set(method.told) == {("y", 1), ("z", 1)}


def test_equal_networks_have_the_mean_of_their_rows():
    noisy = make(short=np.arange(27.0))
    space = noisy.feasible.space
    scores = {noisy.key(c): {noisy.truth(d) for d in space.enumerate() if noisy.key(d) == noisy.key(c)}
              for c in space.enumerate()}  # fmt: skip
    assert len(scores) == 18 and all(len(values) == 1 for values in scores.values())
    assert noisy.best == (17 + 26) / 2


@pytest.mark.parametrize("loss", [0.0, 0.3])
@pytest.mark.parametrize("name", [name for name in STRATEGIES if STRATEGIES[name].kind == "step"])
def test_every_strategy_searches_a_table(name, loss):
    options = argparse.Namespace(**{**vars(GOAL), "workers": 3, "loss": loss})
    row = run(make(), partial(Ours, strategy=name), 1, options)
    assert row["curve"][-1][2] <= 1 and row["finished"] <= 12
    assert row == {**run(make(), partial(Ours, strategy=name), 1, options), "cpu": row["cpu"]}


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("kind", [*(name for name in STRATEGIES if STRATEGIES[name].kind == "promotion"), "half-short"])
def test_short_evaluations_cost_their_share(kind, workers):
    problem = make(("short", "long"), (1, 4))

    def method(*given):
        if kind == "half-short":
            return HalfShort(*given, method=partial(Ours, strategy="random"), budget=4)
        return Ours(*given, strategy="random", promotion=kind)

    row = run(problem, method, 0, argparse.Namespace(evaluations=4, workers=workers, loss=0.0))
    assert row["finished"] > 4, "most evaluations are short"
    assert all(0 < cost <= 4 for _, cost, _ in row["curve"])
    assert all(regret % 2 == 0 for *_, regret in row["curve"]), "only long scores count"


def test_the_front_of_score_and_latency():
    points = [(3.0, 5.0), (1.0, 2.0), (2.0, 1.0), (1.0, 1.5)]
    assert problems.front_of(points) == [(1.0, 2.0), (3.0, 5.0)]
    assert problems.hypervolume(points, 4.0, 0.0) == 3 * 2 + 1 * 3
    problem = problems.any_table(table(ms=np.arange(27.0)), ["a", "b", "c"], ["short"], (1,), "same", "ms")
    every = [(problem.latency(c), problem.truth(c)) for c in problem.feasible.space.enumerate()]
    assert problem.volume(every) == pytest.approx(1) and problem.volume(every[:1]) == 0
    options = argparse.Namespace(evaluations=18, workers=1, loss=0.0)
    for strategy in ("random", "voxnas"):
        row = run(problem, partial(Ours, strategy=strategy), 0, options)
        assert row["finished"] == 18, "a run does not end at the best score"


def test_the_optimum_of_the_branches_is_known_and_decoys_are_better_in_most_points():
    problem, rng = problems.branches(3), np.random.default_rng(0)
    draws = [problem.feasible.space.sample(rng) for _ in range(600)]
    scores = pd.DataFrame({"branch": [c["branch"] for c in draws], "score": list(map(problem.truth, draws))})
    assert scores.score.max() < problem.best
    good = scores.groupby("branch").score.median().idxmin()
    bad = scores[scores.branch != good].score
    assert bad.max() <= problems.DECOY and (bad.median() > scores[scores.branch == good].score.median() + 0.2)
    assert problem.observe(draws[0], 0, 1) != problem.observe(draws[0], 0, 2)


def test_regret_and_cost_are_read_from_the_curve():
    curve = [(1, 0.5, 3.0), (4, 2.0, 1.0)]
    assert [regret_at(curve, cost) for cost in (0.1, 1, 2)] == [np.inf, 3.0, 1.0]
    assert [cost_to(curve, regret) for regret in (3, 1, 0.5)] == [0.5, 2.0, np.inf]
