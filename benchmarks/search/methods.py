"""Methods of the benchmark by name: the registered strategies of Voxnas, and those of :mod:`peers`.

A method is asked for a configuration and a fidelity, and told the score, None for a lost result; then it may read the
latency of the problem. Answers may come in any order. Our strategies are pure functions of a state, which is rebuilt
here at each question.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
from problem import Problem

from voxnas.arch.conditions import Config
from voxnas.core.seeds import derive_seed
from voxnas.core.strategies import STRATEGIES
from voxnas.search.base import Observation, Promotion, Proposer, SearchState
from voxnas.search.feasible import Candidate


@dataclass(frozen=True)
class Question:
    """A configuration to evaluate.

    Attributes
    ----------
    config : mapping
    level : int
        Fidelity, an index of :attr:`problem.Problem.epochs`.
    token : object
        The method's own name of the evaluation.
    """

    config: Config
    level: int
    token: Any = field(default=None, compare=False)


class Method(ABC):
    """One run of a method.

    Parameters
    ----------
    problem : Problem
    seed : int
    workers : int
        Number of evaluations that run at a time.
    """

    def __init__(self, problem: Problem, seed: int, workers: int = 1) -> None:
        self.problem, self.seed, self.workers = problem, seed, workers
        self.space, self.last = problem.feasible.space, len(problem.epochs) - 1
        self.rng = np.random.default_rng(derive_seed(seed, "method"))

    def objectives(self, question: Question, score: float) -> list[float]:
        """Return the score, and the latency if it is an objective."""
        return [score, *([self.problem.latency(question.config)] if self.problem.latency else [])]

    @abstractmethod
    def ask(self) -> Question | None:
        """Return the next question; None if there is none until another answer has come."""

    @abstractmethod
    def tell(self, question: Question, score: float | None) -> None:
        """Take the answer to a question."""


class Ours(Method):
    """A registered strategy, optionally with a promotion.

    Parameters
    ----------
    problem, seed, workers
        As of :class:`Method`.
    strategy : str
        Registered name.
    promotion : str
        Registered name of the promotion; empty: none.
    """

    def __init__(self, problem: Problem, seed: int, workers: int = 1, *, strategy: str, promotion: str = "") -> None:
        super().__init__(problem, seed, workers)
        self.propose: Proposer = STRATEGIES[strategy]()
        if promotion:
            ratio = (problem.epochs[-1] / problem.epochs[0]) ** (1 / (len(problem.epochs) - 1))
            wrapper = STRATEGIES[promotion](rungs=len(problem.epochs), factor=round(ratio))
            assert isinstance(wrapper, Promotion)
            self.propose = partial(wrapper, propose_new=self.propose)
        # With a promotion the budget of one trial is the lowest fidelity.
        self.unit = problem.epochs[0 if promotion else -1]
        self.steps: list[Observation] = []

    def budget(self, candidate: Candidate, share: float = 1.0) -> int:
        """Return epochs."""
        return round(self.unit * share)

    def ask(self) -> Question | None:
        """Ask the strategy with all answers and pending questions."""
        done = tuple(o for o in self.steps if o.state != "PENDING")
        pending = tuple(o for o in self.steps if o.state == "PENDING")
        step = len(self.steps)
        objectives = ("score", "latency_ms") if self.problem.latency else ("score",)
        found = self.propose(
            SearchState(self.problem.feasible, done, pending, step, self.seed, self.budget, objectives=objectives)
        )
        if found is None:
            return None
        if found.candidate is None:
            before = self.steps[found.continue_step]
            new = replace(before, step=step, rung=before.rung + 1, resume_from=before.step, state="PENDING", scores={})
            new = replace(new, origin=found.origin, samples=found.samples)
        else:
            samples = found.samples or self.budget(found.candidate)
            new = Observation(step, f"t{step}", found.candidate, found.origin, rung=found.rung, samples=samples)
        self.steps.append(new)
        reached = [level for level, epochs in enumerate(self.problem.epochs) if epochs <= new.samples]
        return Question(new.candidate.config, max(reached, default=0), step)

    def tell(self, question: Question, score: float | None) -> None:
        """Turn the pending step into a finished one."""
        step = self.steps[question.token]
        cost = self.problem.feasible.cost(step.candidate.architecture)
        costs = {"parameters": cost.parameters, "macs": cost.macs, "samples": step.samples}
        if self.problem.latency:
            costs["latency_ms"] = self.problem.latency(question.config)
        found = {"state": "FAILED"} if score is None else {"state": "DONE", "scores": {"score": score}}
        self.steps[question.token] = replace(step, costs=costs, **found)


class Evolution(Method):
    """Regularised evolution (Real et al. 2019) with the settings of NAS-Bench-201: population 10, tournament 3."""

    population, tournament = 10, 3

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.alive: list[tuple[float, Config]] = []
        self.asked = 0

    def ask(self) -> Question:
        """Mutate the best of a tournament."""
        self.asked += 1
        if self.asked <= self.population or not self.alive:
            return Question(self.space.sample(self.rng), self.last)
        picks = self.rng.choice(len(self.alive), min(self.tournament, len(self.alive)), replace=False)
        parent = max((self.alive[i] for i in picks), key=lambda pair: pair[0])[1]
        return Question(self.space.mutate(parent, self.rng), self.last)

    def tell(self, question: Question, score: float | None) -> None:
        """Let the youngest live."""
        if score is not None:
            self.alive = [*self.alive, (score, question.config)][-self.population :]


class HalfShort(Method):
    """Half of a given budget on the lowest fidelity by another method; then the best are evaluated in full.

    Parameters
    ----------
    problem, seed, workers
        As of :class:`Method`.
    method : callable
        Makes the other method for the problem of the lowest fidelity.
    budget : float
        Number of full evaluations.
    """

    def __init__(self, problem: Problem, seed: int, workers: int = 1, *, method: Callable, budget: float) -> None:
        super().__init__(problem, seed, workers)
        self.inner = method(replace(problem, epochs=problem.epochs[:1]), seed, workers)
        self.left = round(budget / 2 * problem.epochs[-1] / problem.epochs[0])
        self.scores: dict[Any, tuple[float, Config]] = {}

    def ask(self) -> Question | None:
        """Ask the other method, then for the best that has no full evaluation."""
        if self.left > 0:
            return replace(self.inner.ask(), level=0)
        if not self.scores:
            return None
        key = max(self.scores, key=lambda k: self.scores[k][0])
        return Question(self.scores.pop(key)[1], self.last, key)

    def tell(self, question: Question, score: float | None) -> None:
        """Pass short evaluations on."""
        if question.level == 0:
            key = self.problem.key(question.config)
            if key not in self.scores:
                self.left -= 1
            if score is not None:
                self.scores[key] = (score, question.config)
            self.inner.tell(replace(question, level=self.inner.last), score)
