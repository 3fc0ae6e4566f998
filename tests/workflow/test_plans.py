"""After an edit exactly these rules run: plans of dry runs over a finished study."""

from collections.abc import Callable
from pathlib import Path

Plan = Callable[..., dict[str, int]]


def test_nothing_changed(plan_after: Plan) -> None:
    assert plan_after() == {}


def test_report_title_reruns_the_report_alone(plan_after: Plan) -> None:
    assert plan_after(report__title="Another title") == {"all": 1, "spec": 1, "report": 1}


def test_drawn_scans_rerun_the_figures(plan_after: Plan) -> None:
    assert plan_after(report__scans=2) == {"all": 1, "spec": 1, "figures": 1, "report": 1}


def test_statistics_rerun_no_training(plan_after: Plan) -> None:
    plan = plan_after(benchmark__bootstrap=300)
    assert {"step", "train", "evaluate"}.isdisjoint(plan)
    assert plan["benchmark"] == 1


def test_more_steps_run_only_the_new_ones(plan_after: Plan) -> None:
    plan = plan_after(search__steps=4)
    assert plan["propose"] == 2 and plan["step"] == 2
    assert "preprocess" not in plan


def test_another_window_reruns_the_search_but_not_the_data(plan_after: Plan) -> None:
    plan = plan_after(search__window=1)
    assert plan["propose"] == 7 and plan["step"] == 7
    assert {"index", "preprocess", "calibrate"}.isdisjoint(plan)


def test_more_finalists_rerun_no_step(plan_after: Plan) -> None:
    plan = plan_after(search__finalists=2)
    assert {"step", "propose"}.isdisjoint(plan)
    assert plan["select"] == 1


def test_full_budget_reruns_no_step(plan_after: Plan) -> None:
    plan = plan_after(training__budget={"amount": 14, "unit": "samples"})
    assert {"step", "propose"}.isdisjoint(plan)
    assert plan["select"] == 1


def test_one_more_seed_trains_only_the_new_seed(plan_after: Plan, study_copy: Path) -> None:
    networks = len(list((study_copy / "results/tiny/networks").iterdir()))
    plan = plan_after(training__seeds=3)
    assert plan["train"] == networks
    assert {"step", "propose"}.isdisjoint(plan)


def test_batch_size_reruns_every_training(plan_after: Plan) -> None:
    plan = plan_after(training__batch_size=1)
    assert plan["step"] == 7
    assert "preprocess" not in plan


def test_spacing_reruns_from_the_plan_on(plan_after: Plan) -> None:
    plan = plan_after(preprocess__spacing=[9.0, 9.0, 9.0])
    assert plan["plan"] == 1 and plan["preprocess"] == 2 and plan["step"] == 7
    assert "index" not in plan


def test_launcher_and_processes_retrain_nothing(plan_after: Plan) -> None:
    assert plan_after("--set-resources", "train:processes=2", "train:launcher=horovod", "step:processes=2") == {}


def test_named_stages_exist(plan_after: Plan) -> None:
    for stage in ("index", "preprocess", "search", "train", "benchmark", "report"):
        assert plan_after("--until", stage) == {}
