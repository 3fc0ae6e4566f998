import numpy as np
import pandas as pd
import pytest

from voxnas.io.records import read_json, write_json
from voxnas.report import importance
from voxnas.report.figures import draw_figures
from voxnas.report.html import render_report


@pytest.fixture
def trials(monkeypatch):
    def plant(score):
        rng = np.random.default_rng(1)
        choices = pd.DataFrame({"width": rng.integers(1, 9, 60), "norm": rng.choice(["group", "instance"], 60)})
        choices["kernel"] = rng.integers(0, 3, 60)
        outcome = pd.DataFrame({"search": "s", "trial": range(60), "rung": 0, "score": score(choices, rng)})
        monkeypatch.setattr(importance, "read_choices", lambda paths: (choices, outcome))
        importance.importance.cache_clear()

    return plant


def test_the_choice_that_decides_the_score_is_the_most_important(trials):
    trials(lambda choices, rng: choices.width / 8 + rng.normal(0, 0.02, 60))
    table, explained, count = importance.importance("deciding")
    assert table.parameter[0] == "width" and table.low[0] > 0.5 and explained > 0.8 and count == 60
    assert (table.high[1:] < 0.1).all() and "rest on 60 trials" in importance.importance_sentence("deciding")


def test_scores_without_a_cause_give_no_reliable_importance(trials):
    trials(lambda choices, rng: rng.normal(0, 1, 60))
    assert importance.importance("noise")[1] <= 0
    assert "no importance is reliable" in importance.importance_sentence("noise")


def test_a_parameter_is_ordered_and_an_inactive_one_lies_below():
    positions, ticks = importance.encode(pd.Series([8, None, 2, 4], dtype=object))
    assert positions.tolist() == [1.0, -0.15, 0.0, 0.5] and ticks["inactive"] == -0.15
    assert importance.encode(pd.Series(["b", "a"], dtype=object))[1] == {"a": 0.0, "b": 1.0}


def test_the_page_has_the_importances_and_all_trials_as_lines(fake_segmentation, write_benchmark, monkeypatch):
    monkeypatch.setattr(importance, "LEAST_TRIALS", 6)
    monkeypatch.setattr(importance, "REFITS", 3)
    write_benchmark(fake_segmentation)
    for number, file in enumerate(sorted(fake_segmentation.root.glob("search/*/steps/*/proposal.json"))):
        write_json(file, read_json(file) | {"config": {"kernel": number % 3, "norm": ["group", "batch"][number % 2]}})
    draw_figures(fake_segmentation, fake_segmentation.figures)
    page = render_report(fake_segmentation)
    assert "rest on 7 trials" in page and "Parallel coordinates of 8 trials" in page
