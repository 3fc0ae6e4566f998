"""Ratio of measured costs, and what a study rests on."""

import pandas as pd
import pytest

from voxnas.benchmark.costs import basis, cost_ratios
from voxnas.report.sentence import basis_sentence, cost_sentences


def test_costs_of_searched_and_hand_made_networks_are_compared():
    board = pd.DataFrame(
        {
            "name": ["bayesian-1", "bayesian-1 (ensemble)", "random-1", "unet", "ridge"],
            "key": ["a", "a", "b", "c", "d"],
            "source": ["bayesian", "bayesian", "random", "baseline-unet", "linear"],
            "search_seconds_measured": [90.0, 90.0, 110.0, 80.0, 0.0],
            "train_seconds_measured": [30.0, 30.0, 50.0, 40.0, 1.0],
        }
    )
    search, training = cost_ratios(board)
    assert (search.searched, search.hand_made, search.ratio) == (100, 80, 1.25)
    assert (training.searched, training.hand_made, training.ratio) == (40, 40, 1)
    assert "took 100 CPU seconds" in cost_sentences([search])[0] and "ratio 1.25" in cost_sentences([search])[0]
    # A hand-made network without a search of its recipes has no search to compare.
    assert [r.what for r in cost_ratios(board.assign(search_seconds_measured=[90.0, 90.0, 110.0, 0.0, 0.0]))] == [
        "training"
    ]


def test_what_a_study_rests_on(fake_segmentation):
    found = basis(fake_segmentation)
    assert found["processors"] == ["EPYC"] and set(found["samples"].values()) == {100}
    assert found["search_runs"] == {"bayesian": 1, "random": 1}
    text = basis_sentence(found)
    assert "ran on EPYC" in text and "100 samples" in text and "was run once" in text


@pytest.mark.parametrize("column", ["search_seconds_measured", "train_seconds_measured"])
def test_an_unknown_time_gives_no_number(column):
    board = pd.DataFrame(
        {
            "name": ["random-1", "unet"], "key": ["a", "b"], "source": ["random", "baseline-unet"],
            "search_seconds_measured": [90.0, 80.0], "train_seconds_measured": [30.0, 40.0],
        }
    )  # fmt: skip
    board.loc[0, column] = float("nan")
    assert any(r.searched != r.searched for r in cost_ratios(board))
