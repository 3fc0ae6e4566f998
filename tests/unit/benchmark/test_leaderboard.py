import json

import numpy as np
import pandas as pd
import pytest

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import adjust, benchmark, best_of_methods, choose_winner
from voxnas.core.errors import UserError
from voxnas.core.measures import validation_measure
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import read_table, write_table


def test_the_leaderboard_ranks_by_test_and_the_winner_is_chosen_by_validation(fake_study):
    leaderboard, _ = benchmark(fake_study)
    task = read_json(fake_study.dataset)["task"]
    assert len(leaderboard) == 6 and list(leaderboard["rank"]) == [1, 2, 3, 4, 5, 6]
    assert leaderboard.name[leaderboard.winner].tolist() == ["bayesian-1"]
    scores = validation_measure(task).sign * leaderboard.test_score
    assert scores.is_monotonic_decreasing
    known = leaderboard[~leaderboard.note.str.startswith("no interval")]  # a perfect score has none
    assert len(known) and ((known.low <= known.test_score) & (known.test_score <= known.high)).all()
    assert (leaderboard.units == 6).all() and (leaderboard.participants == 6).all()


def test_a_row_holds_the_means_and_costs_of_its_network(fake_segmentation):
    leaderboard, _ = benchmark(fake_segmentation)
    rows = leaderboard.set_index("name")
    network = next(n for n in results.networks(fake_segmentation) if n.name == "random-1")
    table = results.cases(fake_segmentation.cases(network.key), "segmentation")
    row, ensemble = rows.loc["random-1"], rows.loc["random-1 (ensemble)"]
    assert row.test_score == pytest.approx(table.dice[table.seed != "ensemble"].mean())
    assert row.nsd_2 == pytest.approx(table.nsd_2[table.seed != "ensemble"].mean())
    assert ensemble.test_score == pytest.approx(table.dice[table.seed == "ensemble"].mean())
    assert row.validation_score == pytest.approx(0.855) and row.validation_sd == pytest.approx(0.01 / np.sqrt(2))
    assert (row.parameters, ensemble.parameters) == (6000, 12000)
    assert (row.search_samples, row.train_samples, row.origin, row.step) == (80, 200, "random", 0)
    assert (row.search_seconds_predicted, row.train_seconds_predicted) == (40, 100)
    assert (row.search_seconds_measured, row.train_seconds_measured) == (48, 122)


def test_a_better_test_score_does_not_make_the_winner(fake_segmentation):
    small = next(n for n in results.networks(fake_segmentation) if n.name == "random-1")
    table = results.cases(fake_segmentation.cases(small.key), "segmentation")
    table[["dice", "dice_1", "dice_2"]] = 1.0
    write_table(fake_segmentation.cases(small.key), table)
    leaderboard, comparisons = benchmark(fake_segmentation)
    assert leaderboard.name[0].startswith("random-1")
    assert leaderboard.name[leaderboard.winner].tolist() == ["bayesian-1"]
    lost = comparisons[comparisons.second == "random-1"]
    assert (lost.high < 0).all() and (lost.verdict == "worse").all()


def test_a_positive_difference_is_always_a_win_of_the_first(fake_study):
    leaderboard, comparisons = benchmark(fake_study)
    sign = validation_measure(read_json(fake_study.dataset)["task"]).sign
    scores = leaderboard.set_index("name").test_score
    assert len(comparisons) == 6
    for row in comparisons.itertuples():
        assert row.difference == pytest.approx(sign * (scores[row.first] - scores[row.second]))
    methods = comparisons[comparisons.comparison == "methods"]
    assert methods[["first", "second"]].values.tolist() == [["bayesian-1", "random-1"]]


@pytest.mark.parametrize(("task", "measure"), [("classification", "accuracy"), ("regression", "r")])
def test_the_winner_is_chosen_by_the_measure_of_the_study(new_fake_study, tmp_path, task, measure):
    paths = new_fake_study(tmp_path / "fake", task)
    for name, value in (("bayesian-1", 0.6), ("random-1", 0.7)):  # by the score that steers the search: bayesian-1
        key = next(n.key for n in results.networks(paths) if n.name == name)
        for seed in range(2):
            file = paths.seed(key, seed) / "result.json"
            write_json(file, read_json(file) | {"metrics": {measure: value}})
    write_json(paths.spec("benchmark"), read_json(paths.spec("benchmark")) | {"measure": measure})
    leaderboard, _ = benchmark(paths)
    assert leaderboard.name[leaderboard.winner].tolist() == ["random-1"]
    assert leaderboard.set_index("name").validation_score["random-1"] == pytest.approx(0.7)


def test_tables_are_equal_when_made_twice_and_survive_a_file(fake_study, tmp_path):
    first, second = benchmark(fake_study), benchmark(fake_study)
    for a, b in zip(first, second, strict=True):
        assert a.equals(b)
    write_table(tmp_path / "x.tsv", first[0])
    again = read_table(tmp_path / "x.tsv", {"test_score": float, "rank": int})
    assert np.allclose(again.test_score, first[0].test_score)


def test_networks_scored_on_different_scans_are_refused(fake_segmentation):
    network = results.networks(fake_segmentation)[1]
    table = results.cases(fake_segmentation.cases(network.key), "segmentation")
    write_table(fake_segmentation.cases(network.key), table[table.scan != "sub-01"])
    with pytest.raises(UserError, match=network.key):
        benchmark(fake_segmentation)


def test_without_a_search_a_baseline_wins(fake_segmentation):
    record = read_json(fake_segmentation.finalists)
    record["networks"] = [n for n in record["networks"] if n["source"] == "baseline-small"]
    write_json(fake_segmentation.finalists, record)
    leaderboard, comparisons = benchmark(fake_segmentation)
    assert leaderboard.name[leaderboard.winner].tolist() == ["small"]
    assert set(comparisons.comparison) == {"winner"}


def test_a_failed_network_never_wins(fake_segmentation):
    found = results.networks(fake_segmentation)
    validation = {"bayesian-1": np.nan, "random-1": 0.1, "small": 0.9}
    assert choose_winner(found, validation, 1).name == "random-1"
    assert best_of_methods(found, validation, 1) == ["bayesian-1", "random-1"]


def test_the_history_counts_failures_as_cost_and_not_as_score(fake_segmentation):
    history = results.search_history(fake_segmentation, "bayesian")
    assert list(history.state) == ["DONE", "DONE", "FAILED", "DONE"]
    assert np.isnan(history.score[2]) and history.cpu_seconds.sum() == 40
    assert results.searches(fake_segmentation) == ["bayesian", "random", "baseline-small"]


def test_a_continued_trial_pays_once(fake_segmentation):
    paths = fake_segmentation
    for step, samples in ((0, 20), (1, 50)):
        proposal = json.loads((paths.step("random", step) / "proposal.json").read_text())
        write_json(paths.step("random", step) / "proposal.json", {**proposal, "trial": "t0", "samples": samples})
        result = json.loads((paths.step("random", step) / "result.json").read_text())
        write_json(paths.step("random", step) / "result.json", {**result, "samples": samples})
    assert results.search_history(paths, "random").samples.tolist() == [20, 30, 20, 20]


def test_clusters_are_the_units_of_the_splits(fake_segmentation):
    for network in results.networks(fake_segmentation):
        path = fake_segmentation.cases(network.key)
        table = results.cases(path, "segmentation")
        write_table(path, table.assign(unit=["site-" + str(int(scan[-2:]) % 3) for scan in table.scan]))
    leaderboard, comparisons = benchmark(fake_segmentation)
    for table in (leaderboard, comparisons):
        assert (table.units == 3).all() and (table.participants == 6).all()
        assert table.low.isna().all() and (table.note == "no interval: fewer than 5 independent units").all()
    assert (comparisons.verdict == "untested").all() and comparisons.p_holm.isna().all()


def test_verdicts_follow_from_the_p_values_adjusted_for_the_distinct_pairs():
    pairs = [("winner", "a", "b"), ("winner", "a", "c"), ("winner", "a", "d"), ("reference", "b", "a")]
    table = pd.DataFrame(pairs, columns=["comparison", "first", "second"])
    table = adjust(table.assign(difference=[1.0, -1, 1, -1], p=[0.01, 0.02, 0.03, 0.01]), 0.95)
    assert table.p_holm.tolist() == pytest.approx([0.03, 0.04, 0.04, 0.03])
    assert table.verdict.tolist() == ["better", "worse", "better", "worse"]
    assert adjust(table.assign(p=[0.02, 0.02, 0.03, 0.02]), 0.95).verdict.eq("indistinguishable").all()
