"""Other optimisers behind the interface of :class:`methods.Method`, with the settings that they recommend.

    pip install -r benchmarks/search/requirements.txt

None of them is a dependency of Voxnas; a missing package removes its methods from the list. Numbers, their logarithms,
integers and names are declared as such. Conditions are declared where the package has them (Optuna, SMAC, ConfigSpace);
the others see all parameters, and those that are inactive have no effect.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import random
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

import numpy as np
from methods import Method, Question
from problem import Problem

from voxnas.arch.conditions import Config
from voxnas.arch.parameters import Parameter, Value

warnings.filterwarnings("ignore")
PLANNED = 800  # evaluations that SMAC plans, more than any budget
FIDELITY = "epochs"  # parameter of NePS


def varying(problem: Problem) -> list[Parameter]:
    """Parameters with more than one value, conditions first."""
    return [p for p in problem.feasible.space.parameters if not p.fixed]


def complete(problem: Problem, values: dict[str, Value]) -> Config:
    """Return the configuration of values by name: the active ones, and the fixed parameters."""
    config: Config = {}
    for p in problem.feasible.space.parameters:
        if p.is_active(config):
            value = p.choices[0] if p.fixed else values[p.name]
            config[p.name] = int(value) if p.integer else float(value) if not p.choices else value
    return config


class Optuna(Method):
    """Optuna (Akiba et al. 2019) with a sampler and, for several fidelities, a pruner.

    A pruner is asked after the lowest fidelity; a trial that it keeps is evaluated at the highest.
    """

    def __init__(self, *arguments: Any, sampler: str, pruner: str = "", **options: Any) -> None:
        import optuna

        super().__init__(*arguments)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self.states = optuna.trial.TrialState
        first, *_, last = (*self.problem.epochs, self.problem.epochs[-1])
        judge = getattr(optuna.pruners, pruner)(min_resource=round(first), max_resource=round(last)) if pruner else None
        made = getattr(optuna.samplers, sampler)(seed=self.seed, **options)
        directions = ["maximize", "minimize"] if self.problem.latency else ["maximize"]
        self.study = optuna.create_study(directions=directions, sampler=made, pruner=judge)
        self.kept: list[Question] | None = [] if pruner else None

    def ask(self) -> Question:
        """Suggest each active parameter, unless a trial was kept."""
        if self.kept:
            return self.kept.pop()
        trial, config = self.study.ask(), {}
        for p in self.space.parameters:
            if not p.is_active(config):
                continue
            if p.fixed:
                config[p.name] = p.choices[0]
            elif p.choices and p.ordinal:
                config[p.name] = p.choices[trial.suggest_int(p.name, 0, len(p.choices) - 1)]
            elif p.choices:
                config[p.name] = trial.suggest_categorical(p.name, p.choices)
            elif p.integer:
                config[p.name] = trial.suggest_int(p.name, int(p.low), int(p.high), log=p.log)
            else:
                config[p.name] = trial.suggest_float(p.name, p.low, p.high, log=p.log)
        return Question(config, self.last if self.kept is None else 0, trial)

    def tell(self, question: Question, score: float | None) -> None:
        """Report the score; a lost trial has failed."""
        if score is None:
            self.study.tell(question.token, state=self.states.FAIL)
        elif question.level < self.last:
            assert self.kept is not None
            question.token.report(score, round(self.problem.epochs[0]))
            if question.token.should_prune():
                self.study.tell(question.token, state=self.states.PRUNED)
            else:
                self.kept.append(replace(question, level=self.last))
        else:
            self.study.tell(question.token, self.objectives(question, score))


class Skopt(Method):
    """The Optimizer of scikit-optimize; pending points are constant liars, lost results the worst score so far."""

    def __init__(self, *arguments: Any) -> None:
        from skopt import Optimizer
        from skopt.space import Categorical, Integer, Real

        super().__init__(*arguments)
        self.parameters = varying(self.problem)
        dimensions = [
            Integer(0, len(p.choices) - 1) if p.choices and p.ordinal
            else Categorical(p.choices) if p.choices
            else Integer(p.low, p.high, "log-uniform" if p.log else "uniform") if p.integer
            else Real(p.low, p.high, "log-uniform" if p.log else "uniform")
            for p in self.parameters
        ]  # fmt: skip
        self.optimizer = Optimizer(dimensions, base_estimator="GP", random_state=self.seed)
        self.pending, self.worst = 0, None

    def ask(self) -> Question:
        """Ask for one point more than are pending."""
        point = self.optimizer.ask(self.pending + 1)[-1] if self.pending else self.optimizer.ask()
        self.pending += 1
        values = {
            p.name: p.choices[x] if p.choices and p.ordinal else x
            for p, x in zip(self.parameters, point, strict=True)
        }  # fmt: skip
        return Question(complete(self.problem, values), self.last, point)

    def tell(self, question: Question, score: float | None) -> None:
        """Tell the loss."""
        self.pending -= 1
        loss = self.worst if score is None else -score
        if loss is not None:
            self.worst = loss if self.worst is None else max(self.worst, loss)
            self.optimizer.tell(question.token, loss)


class Smac(Method):
    """SMAC3 (Lindauer et al. 2022), a facade: random forest for hyperparameters, or Gaussian process."""

    def __init__(self, *arguments: Any, facade: str, noisy: bool = False) -> None:
        import smac
        from ConfigSpace import (
            AndConjunction,
            Categorical,
            ConfigurationSpace,
            Float,
            InCondition,
            Integer,
            OrConjunction,
        )  # fmt: skip

        super().__init__(*arguments)
        logging.disable(logging.WARNING)
        space = ConfigurationSpace(seed=self.seed)
        for p in varying(self.problem):
            if p.choices:
                space.add(Categorical(p.name, list(map(str, p.choices)), ordered=p.ordinal))
            else:
                kind = Integer if p.integer else Float
                space.add(kind(p.name, (p.low, p.high), log=p.log))
        for p in varying(self.problem):
            alternatives = [
                [InCondition(space[p.name], space[name], list(map(str, values))) for name, values in one.items()]
                for one in p.when
            ]
            joined = [a[0] if len(a) == 1 else AndConjunction(*a) for a in alternatives]
            if joined:
                space.add(joined[0] if len(joined) == 1 else OrConjunction(*joined))
        self.names = {p.name: {str(v): v for v in p.choices} for p in varying(self.problem)}
        self.folder = tempfile.TemporaryDirectory()
        scenario = smac.Scenario(
            space, n_trials=PLANNED, seed=self.seed, deterministic=not noisy, output_directory=self.folder.name
        )
        self.smac = getattr(smac, facade)(scenario, lambda config, seed=0: 0.0, overwrite=True)

    def ask(self) -> Question:
        """Ask the facade."""
        info = self.smac.ask()
        values = {k: self.names[k].get(v, v) for k, v in dict(info.config).items()}
        return Question(complete(self.problem, values), self.last, info)

    def tell(self, question: Question, score: float | None) -> None:
        """Tell the cost."""
        from smac.runhistory import StatusType, TrialValue

        lost = {"cost": float("inf"), "status": StatusType.CRASHED}
        self.smac.tell(question.token, TrialValue(**(lost if score is None else {"cost": -score})))


class SyneTune(Method):
    """A scheduler of Syne Tune (Salinas et al. 2022): a function of its module, the space and further arguments."""

    def __init__(self, *arguments: Any, scheduler: str) -> None:
        from syne_tune import config_space

        super().__init__(*arguments)
        logging.disable(logging.WARNING)
        np.random.seed(self.seed % 2**32)  # MOASHA draws from the global generator
        space = {}
        for p in varying(self.problem):
            if p.choices:
                space[p.name] = (config_space.ordinal if p.ordinal else config_space.choice)(list(p.choices))
            elif p.integer:
                space[p.name] = (config_space.lograndint if p.log else config_space.randint)(int(p.low), int(p.high))
            else:
                space[p.name] = (config_space.loguniform if p.log else config_space.uniform)(p.low, p.high)
        self.scheduler = self.made(scheduler, space)
        self.count = 0

    def made(self, scheduler: str, space: dict[str, Any]) -> Any:
        """Make the scheduler; all metrics are losses."""
        from syne_tune.optimizer import baselines

        metrics = self.metrics([0.0, 0.0]) if self.problem.latency else "score"
        metrics = list(metrics) if self.problem.latency else metrics
        return getattr(baselines, scheduler)(space, metrics, do_minimize=True, random_seed=self.seed)

    def metrics(self, values: list[float]) -> dict[str, float]:
        """Name the values of the objectives and turn the score into a loss."""
        score, *more = values
        return {"score": -score, **dict(zip(["latency"], more, strict=False))}

    def ask(self) -> Question:
        """Ask for a suggestion and begin its trial."""
        from syne_tune.backend.trial_status import Trial

        values = self.scheduler.suggest().config
        trial = Trial(self.count, values, datetime.now())
        self.count += 1
        self.scheduler.on_trial_add(trial)
        return Question(complete(self.problem, values), self.last, trial)

    def tell(self, question: Question, score: float | None) -> None:
        """Complete the trial."""
        if score is None:
            self.scheduler.on_trial_error(question.token)
        else:
            self.scheduler.on_trial_complete(question.token, self.metrics(self.objectives(question, score)))


class Moasha(SyneTune):
    """MOASHA of Syne Tune (Schmucker et al. 2021): draws at random, and promotes along the front of each rung.

    Two rungs with the usual factor of 3; a trial that is not stopped on the first rung is evaluated at the highest
    fidelity.
    """

    def made(self, scheduler: str, space: dict[str, Any]) -> Any:
        """Make the scheduler, whose rungs are counted as 1 and 3."""
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA

        self.kept: list[Question] = []
        return MOASHA(space, ["score", "latency"], max_t=3, grace_period=1, random_seed=self.seed)

    def ask(self) -> Question:
        """Continue a kept trial, or begin one on the first rung."""
        return self.kept.pop() if self.kept else replace(super().ask(), level=0)

    def tell(self, question: Question, score: float | None) -> None:
        """Report a rung, and keep the trial unless the scheduler stops it."""
        if score is None:
            self.scheduler.on_trial_error(question.token)
            return
        top = question.level == self.last
        found = self.metrics(self.objectives(question, score)) | {"training_iteration": 3 if top else 1}
        if self.scheduler.on_trial_result(question.token, found) == "CONTINUE" and not top:
            self.kept.append(replace(question, level=self.last))


class Neps(Method):
    """An algorithm of NePS (Stoll et al. 2023).

    Algorithms with a fidelity have two rungs, which NePS counts as 1 and 3 so that its usual factor of 3 applies.
    """

    def __init__(self, *arguments: Any, algorithm: str = "bayesian_optimization", **options: Any) -> None:
        from neps import AskAndTell, algorithms, space

        super().__init__(*arguments)
        # NePS draws from the global generators.
        torch = importlib.import_module("torch")
        torch.manual_seed(self.seed), np.random.seed(self.seed), random.seed(self.seed)
        kinds = {
            p.name: space.HPOInteger(0, len(p.choices) - 1) if p.choices and p.ordinal
            else space.HPOCategorical(list(p.choices)) if p.choices
            else (space.HPOInteger if p.integer else space.HPOFloat)(p.low, p.high, log=p.log)
            for p in varying(self.problem)
        }  # fmt: skip
        self.ranks = {p.name: p.choices for p in varying(self.problem) if p.choices and p.ordinal}
        if algorithm != "bayesian_optimization":
            kinds[FIDELITY] = space.HPOInteger(1, 3, is_fidelity=True)
        self.neps = AskAndTell(getattr(algorithms, algorithm)(space.SearchSpace(kinds), **options))

    def ask(self) -> Question:
        """Ask for a trial."""
        trial = self.neps.ask()
        values = {k: self.ranks[k][v] if k in self.ranks else v for k, v in trial.config.items()}
        level = self.last if values.pop(FIDELITY, 3) == 3 else 0
        return Question(complete(self.problem, values), level, trial)

    def tell(self, question: Question, score: float | None) -> None:
        """Tell the loss; a lost result is an error."""
        if score is None:
            self.neps.tell(question.token, RuntimeError("lost"))
        else:
            score, *more = self.objectives(question, score)
            self.neps.tell(question.token, {"objective_to_minimize": [-score, *more] if more else -score})


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress what the peers print."""
    with contextlib.redirect_stdout(None), contextlib.redirect_stderr(None):
        yield


def installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def found(noisy: bool, front: bool) -> dict[str, Callable[..., Method]]:
    """Methods of the installed packages by name.

    Parameters
    ----------
    noisy : bool
        Whether scores have noise, which the peers that can be told are told.
    front : bool
        Whether the latency is an objective; only methods of several objectives are returned.
    """
    every: dict[str, tuple[str, Callable[..., Method]]] = {
        "scikit-optimize": ("skopt", Skopt),
        "optuna-tpe": ("optuna", partial(Optuna, sampler="TPESampler")),
        "optuna-gp": ("optuna", partial(Optuna, sampler="GPSampler", deterministic_objective=not noisy)),
        "smac-forest": ("smac", partial(Smac, facade="HyperparameterOptimizationFacade", noisy=noisy)),
        "smac-gp": ("smac", partial(Smac, facade="BlackBoxFacade", noisy=noisy)),
        "syne-tune-cqr": ("syne_tune", partial(SyneTune, scheduler="CQR")),
        "syne-tune-botorch": ("syne_tune", partial(SyneTune, scheduler="BOTorch")),
        "neps-bo": ("neps", Neps),
        "syne-tune-rea": ("syne_tune", partial(SyneTune, scheduler="REA")),
    }
    if front:
        every = {name: every[name] for name in ("optuna-tpe", "optuna-gp", "neps-bo")}
        every["optuna-nsga2"] = ("optuna", partial(Optuna, sampler="NSGAIISampler"))
        every["syne-tune-ehvi"] = ("syne_tune", partial(SyneTune, scheduler="EHVI"))
    return {name: method for name, (package, method) in every.items() if installed(package)}


def multi_fidelity(front: bool) -> dict[str, Callable[..., Method]]:
    """Methods of the installed packages that promote trials, by name; Optuna prunes with one objective only."""
    every: dict[str, tuple[str, Callable[..., Method]]] = {
        "optuna-random/hyperband": ("optuna", partial(Optuna, sampler="RandomSampler", pruner="HyperbandPruner")),
        "optuna-tpe/hyperband": ("optuna", partial(Optuna, sampler="TPESampler", pruner="HyperbandPruner")),
    }
    if front:
        every = {
            "neps-primo": ("neps", partial(Neps, algorithm="primo", prior_centers={})),
            "neps-moasha": ("neps", partial(Neps, algorithm="moasha")),
            "syne-tune-moasha": ("syne_tune", partial(Moasha, scheduler="MOASHA")),
        }
    return {name: method for name, (package, method) in every.items() if installed(package)}
