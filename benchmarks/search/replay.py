"""Replay of search methods on problems whose scores are known: one row a run, which is skipped where it exists.

    python benchmarks/search/replay.py --rows ROWS --table nasbench201.csv.gz --methods random bayesian --seeds 30
    python benchmarks/search/replay.py --rows ROWS --problem branches --evaluations 60 --seeds 30
    python benchmarks/search/table.py --rows ROWS --output results/published/search

All methods have the same space, budget, clock and cache: the score of a network that was evaluated before is told at no
cost, and the method is asked again. After 10 questions for known networks one that is not known is drawn. The runs are
ordered by seed, so that at any moment every method has the same seeds; an interruption loses one run.

With several workers, evaluations run in order of arrival with durations spread tenfold, and `--loss` is the probability
that a result is lost. With several scores (`--score SHORT LONG --epochs 12 200`) a budget is counted in full
evaluations, and only these count.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Hashable, Iterable
from functools import partial
from pathlib import Path

import numpy as np
import peers
import problem as problems
from clock import Enough, durations, simulate
from methods import Evolution, HalfShort, Method, Ours, Question
from problem import Problem

from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES

AGAIN = 10
IDLE = 10.0  # seconds until a method that waits for an answer is asked again
DRAWN = "drawn"  # token of a network that the method did not ask for


class Run:
    """One run of a method, driven by :func:`clock.simulate`.

    Parameters
    ----------
    problem : Problem
    method : Method
    seed : int
    budget : float
        Number of evaluations, in full ones.
    loss : float
        Probability that a result is lost.
    seconds : list of float
        Duration of each step, reduced where its fidelity is low.
    """

    def __init__(
        self, problem: Problem, method: Method, seed: int, budget: float, loss: float, seconds: list[float]
    ) -> None:
        self.problem, self.method, self.budget, self.loss, self.durations = problem, method, budget, loss, seconds
        self.rng = np.random.default_rng(derive_seed(seed, "replay"))
        self.steps: dict[tuple[Hashable, int], int] = {}  # of each network and fidelity
        self.scores: dict[int, float | None] = {}
        self.pending: dict[int, list[Question]] = {}  # the evaluated question of each step, and others for its network
        self.best, self.regret, self.cost, self.cpu = -np.inf, np.inf, 0.0, 0.0
        self.curve: list[tuple[int, float, float]] = []  # evaluations, cost and regret where the incumbent changes
        self.measured: list[tuple[float, tuple[float, float]]] = []  # cost, and (latency, score) of full evaluations

    def propose(self, step: int, known: Iterable[int]) -> None:
        """Tell all new results, then begin a step; the interface of :func:`clock.simulate`."""
        self.finish(sorted(self.pending.keys() & set(known)))
        if self.regret <= 0 and not self.problem.latency:
            raise Enough
        begin = time.process_time()
        question = self._new()
        self.cpu += time.process_time() - begin
        if question is None and self.pending:
            self.durations[step] = IDLE
            return
        if question is None:
            raise Enough
        share = self.problem.epochs[question.level] / self.problem.epochs[-1]
        if self.cost + share > self.budget + 1e-9:
            raise Enough
        self.cost += share
        self.durations[step] *= share
        self.pending[step] = [question]
        self.steps[self._identity(question)] = step

    def finish(self, steps: Iterable[int]) -> None:
        """Tell the results of steps."""
        for step in steps:
            questions = self.pending.pop(step)
            evaluated = questions[0]
            lost = self.rng.random() < self.loss
            score = None if lost else self.problem.observe(evaluated.config, evaluated.level, step)
            self.scores[step] = score
            begin = time.process_time()
            for question in questions:
                if question.token is not DRAWN:
                    self.method.tell(question, score)
            self.cpu += time.process_time() - begin
            if score is None or evaluated.level < len(self.problem.epochs) - 1:
                continue
            if self.problem.latency:
                self.measured.append((self.cost, (self.problem.latency(evaluated.config), score)))
            if score > self.best:
                self.best = score
                self.regret = self.problem.best - self.problem.truth(evaluated.config)
                self.curve.append((len(self.scores), round(self.cost, 4), round(self.regret, 6)))

    def _identity(self, question: Question) -> tuple[Hashable, int]:
        return self.problem.key(question.config), question.level

    def _new(self) -> Question | None:
        """Ask until the network is neither known nor pending; None if the method waits for an answer."""
        level = 0
        for _ in range(AGAIN):
            question = self.method.ask()
            if question is None:
                return None
            level = question.level
            step = self.steps.get(self._identity(question))
            if step is None:
                return question
            if step in self.scores:
                self.method.tell(question, self.scores[step])
            else:
                self.pending[step].append(question)
        while True:
            question = Question(self.problem.feasible.space.sample(self.rng), level, DRAWN)
            if self._identity(question) not in self.steps:
                return question


def methods(several: bool, noisy: bool, front: bool) -> dict[str, Callable[..., Method]]:
    """All methods by name.

    Parameters
    ----------
    several : bool
        Whether the problem has several fidelities.
    noisy : bool
        Whether scores have noise.
    front : bool
        Whether the latency is an objective.
    """
    steps = [name for name in STRATEGIES if STRATEGIES[name].kind == "step"]
    found: dict[str, Callable[..., Method]] = {name: partial(Ours, strategy=name) for name in steps}
    found["evolution-real2019"] = Evolution
    found |= peers.found(noisy, front)
    if several:
        halves = [(k, m, budget) for k, m in found.items() for budget in (10, 20)]
        found |= {f"{k}/half-short-{budget}": partial(HalfShort, method=m, budget=budget) for k, m, budget in halves}
        promotions = [name for name in STRATEGIES if STRATEGIES[name].kind == "promotion"]
        found |= {f"{k}/{p}": partial(Ours, strategy=k, promotion=p) for k in steps for p in promotions}
        found |= peers.multi_fidelity(front)
    return found


def run(problem: Problem, method: Callable[..., Method], seed: int, arguments: argparse.Namespace) -> dict:
    """Run a method once and return its row."""
    shortest = problem.epochs[0] / problem.epochs[-1]
    seconds = durations(round(arguments.evaluations / shortest) + 1, seed)
    made = method(problem, seed, arguments.workers)
    this = Run(problem, made, seed, arguments.evaluations, arguments.loss, seconds)
    simulate("arrival", len(seconds), arguments.workers, seconds, propose=this.propose)
    this.finish(sorted(this.pending))
    reach = {name: round(problem.best - value, 6) for name, value in problem.top.items()}
    shares = {
        cost: round(problem.volume(point for spent, point in this.measured if spent <= cost + 1e-9), 6)
        for cost in (5, 10, 20, 25, 50, 100)
        if cost <= arguments.evaluations
    }
    return {
        "volume": shares,
        "top": reach,
        "finished": len(this.scores),
        "cpu": round(this.cpu, 2),
        "curve": this.curve,
    }


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--table", type=Path, nargs="+", help="CSV files of the same rows")
    parser.add_argument("--problem", choices=("nasbench201", "table", "branches", "branches-plain"))
    parser.add_argument("--choices", nargs="+", help="columns of the parameters (--problem table)")
    parser.add_argument("--same", help="column of the class of equal networks (--problem table)")
    parser.add_argument("--score", nargs="+", default=["cifar100_val_acc_12ep"], help="columns at increasing fidelity")
    parser.add_argument("--epochs", type=float, nargs="+", default=[12], help="cost of each fidelity")
    parser.add_argument("--latency", help="column of the latency: the front is searched")
    parser.add_argument("--methods", nargs="*", help="names; without: print them. A suffix :free hides costs from ours")
    parser.add_argument("--seeds", type=int, nargs="+", default=[30], help="number of seeds, or first and last")
    parser.add_argument("--evaluations", type=float, default=100, help="budget in full evaluations")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--loss", type=float, default=0.0, help="probability that a result is lost")
    arguments = parser.parse_args()
    name = arguments.problem or "nasbench201"
    available = methods(len(arguments.score) > 1, name.startswith("branches"), bool(arguments.latency))
    if not arguments.methods:
        print(*available, sep="\n")
        return
    table = problems.read_csv(arguments.table) if arguments.table else None
    identity = {
        "problem": name, "score": "" if name.startswith("branches") else "+".join(arguments.score),
        "latency": arguments.latency or "", "workers": arguments.workers, "loss": arguments.loss,
    }  # fmt: skip
    folder = arguments.rows / "_".join(str(v) for v in identity.values() if v != "")
    made: dict[bool, Problem] = {}

    def instance(seed: int, costs: bool) -> Problem:
        if name.startswith("branches"):
            return problems.branches(seed, name == "branches")
        if costs not in made:
            common = {"scores": arguments.score, "epochs": arguments.epochs, "latency": arguments.latency}
            made[costs] = (
                problems.nasbench201(table, costs=costs, **common)
                if name == "nasbench201"
                else problems.any_table(table, arguments.choices, same=arguments.same, **common)
            )
        return made[costs]

    for seed in range(*([0, *arguments.seeds] if len(arguments.seeds) == 1 else arguments.seeds)):
        for method in arguments.methods:
            file = folder / method.replace("/", "+").replace(":", "-") / f"{seed}.json"
            if file.exists() and json.loads(file.read_text())["budget"] >= arguments.evaluations:
                continue
            plain, _, free = method.partition(":")
            begin = time.time()
            with peers.quiet():
                row = run(instance(seed, not free), available[plain], seed, arguments)
            file.parent.mkdir(parents=True, exist_ok=True)
            fields = {**identity, "method": method, "seed": seed, "budget": arguments.evaluations, **row}
            temporary = file.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(fields))
            temporary.rename(file)
            regret = row["curve"][-1][2] if row["curve"] else np.inf
            print(f"{method} seed {seed}: regret {regret:.3f}, {time.time() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
