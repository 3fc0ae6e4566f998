"""After an edit exactly these rules run: plans of dry runs over a finished study."""

from collections.abc import Callable
from pathlib import Path

import pytest

Plan = Callable[..., dict[str, int]]
SEARCH = ("step", "propose")
BUDGET = {"amount": 14, "unit": "samples"}


@pytest.mark.parametrize(
    ("changes", "plan"),
    [
        ({}, {}),
        ({"report__title": "Another title"}, {"all": 1, "spec": 1, "report": 1}),
        ({"report__scans": 2}, {"all": 1, "spec": 1, "figures": 1, "report": 1}),
    ],
    ids=str,
)
def test_whole_plans(plan_after: Plan, changes: dict[str, object], plan: dict[str, int]) -> None:
    assert plan_after(**changes) == plan


@pytest.mark.parametrize(
    ("changes", "runs", "rests"),
    [
        ({"benchmark__confidence": 0.9}, {"benchmark": 1}, ("step", "train", "evaluate")),
        ({"search__steps": 4}, {"propose": 3, "step": 3}, ("preprocess",)),
        ({"search__window": 1}, {"propose": 9, "step": 9}, ("index", "preprocess", "calibrate")),
        ({"search__finalists": 2}, {"select": 1}, SEARCH),
        ({"training__budget": BUDGET}, {"select": 1}, SEARCH),
        ({"training__batch_size": 1}, {"step": 9}, ("preprocess",)),
        ({"preprocess__spacing": [9.0, 9.0, 9.0]}, {"plan": 1, "preprocess": 2, "step": 9}, ("index",)),
    ],
    ids=str,
)
def test_an_edit_runs_the_rules_that_depend_on_it(
    plan_after: Plan, changes: dict[str, object], runs: dict[str, int], rests: tuple[str, ...]
) -> None:
    plan = plan_after(**changes)
    assert {rule: plan.get(rule) for rule in runs} == runs and set(rests).isdisjoint(plan)


def test_one_more_seed_trains_only_the_new_seed(plan_after: Plan, study_copy: Path) -> None:
    networks = len(list((study_copy / "results/tiny/networks").iterdir()))
    plan = plan_after(training__seeds=3)
    assert plan["train"] == networks and set(SEARCH).isdisjoint(plan)


def test_launcher_and_processes_retrain_nothing(plan_after: Plan) -> None:
    assert plan_after("--set-resources", "train:processes=2", "train:launcher=horovod", "step:processes=2") == {}


def test_named_stages_exist(plan_after: Plan) -> None:
    for stage in ("index", "preprocess", "search", "train", "benchmark", "report"):
        assert plan_after("--until", stage) == {}
