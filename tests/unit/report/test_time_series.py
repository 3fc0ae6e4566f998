"""The report of a study of time series: views, time, quality, and the comparison with the linear model."""

import pandas as pd
import pytest
from plans import input_view, run_plan, staged

from voxnas.arch.families.clip import Clip
from voxnas.arch.families.linear import Linear
from voxnas.benchmark.leaderboard import benchmark, choose_winner
from voxnas.core.measures import MEASURES
from voxnas.core.paths import StudyPaths
from voxnas.core.trial import Network
from voxnas.io.records import read_json, write_json, write_text
from voxnas.io.tables import write_table
from voxnas.report.folds import folds_sentence, folds_table, read_folds
from voxnas.report.html import render_report
from voxnas.report.sentence import headline
from voxnas.report.time_series import (
    QUALITY,
    describe_benefit_of_time,
    quality_table,
    read_quality,
    twin_of_winner,
    views_table,
)

CLIP = input_view((8, 16, 16), stages=2, frames=6)
MATRIX = input_view((1, 32, 32), stages=1)
MEASURE = MEASURES["auc"]


@pytest.fixture(scope="module")
def timed(tmp_path_factory, new_fake_study, write_benchmark):
    """A study on clips: a searched network, its copy without time, and a linear model on correlations."""
    paths = new_fake_study(tmp_path_factory.mktemp("timed") / "fake", "classification")
    plan = run_plan({"clips": CLIP, "connectivity": MATRIX}, clip={"frames": 6, "step": 2}, spacing=(1, 1, 2))
    write_json(paths.plan, plan)
    write_json(paths.splits, {**read_json(paths.splits), "unit": "run", "within": True})
    record = read_json(paths.finalists)
    fields = staged([4, 8], strides=CLIP.strides, kernels=CLIP.kernels, view="clips")
    changes = [
        {"architecture": Clip(**fields, temporal="conv").plain()},
        {"name": "bayesian-1-per-frame", "source": "per-frame", "architecture": Clip(**fields).plain()},
        {
            "name": "connectivity-ridge", "source": "linear",
            "architecture": Linear(in_channels=1, out_channels=2, view="connectivity", model="ridge").plain(),
        },
    ]  # fmt: skip
    networks = [{**network, **change} for network, change in zip(record["networks"], changes, strict=True)]
    write_json(paths.finalists, {**record, "searches": {"bayesian": 4}, "networks": networks})
    for number, reason in enumerate((None, "mean framewise displacement 0.7 mm, at most 0.5")):
        row = {"scan": f"sub-{number:02d}", "tsnr": 50.4, "mean_fd_mm": 0.7, "frames": 120, "kept": 118}
        columns = list(dict.fromkeys([*row, *QUALITY]))
        write_table(
            paths.runs(number) / "quality.tsv",
            pd.DataFrame([{**row, "excluded": reason}], columns=[*columns, "excluded"]),
        )
    write_benchmark(paths)
    paths.figures.mkdir(exist_ok=True)
    write_text(paths.figures / "quality.svg", "<svg xmlns='http://www.w3.org/2000/svg'></svg>")
    return paths


def winner_of(paths):
    return Network.model_validate(read_json(paths.finalists)["networks"][0])


def changed(comparisons, second, verdict):
    table = comparisons.copy()
    table.loc[table.second == second, "verdict"] = verdict
    return table


def test_the_twin_is_no_candidate(timed):
    found = [Network.model_validate(n) for n in read_json(timed.finalists)["networks"]]
    assert choose_winner(found, {n.name: 1.0 for n in found} | {"bayesian-1": 0.0}, 1).name == "bayesian-1"


def test_the_best_of_each_view_and_the_twin_stand_beside_the_winner(timed):
    board, comparisons = benchmark(timed)
    table = views_table(timed, board, comparisons, MEASURE)
    shown = [[text for text, _ in row[:3]] for row in table.rows]
    assert shown == [
        ["clips of volumes (4D)", "network", "bayesian-1"],
        ["correlations of regions", "linear model", "connectivity-ridge"],
        ["clips, each volume separately", "winner without operators along time", "bayesian-1-per-frame"],
    ]
    assert table.rows[0][7][0] == "the winner" and table.rows[1][8][0] == "indistinguishable"


def test_whether_time_pays_follows_the_verdict(timed):
    board, comparisons = benchmark(timed)
    winner, twin = winner_of(timed), "bayesian-1-per-frame"
    assert twin_of_winner(board)["name"] == twin
    said = {"better": "improve", "indistinguishable": "is not shown", "worse": "reduce", "untested": "not be tested"}
    for verdict, words in said.items():
        assert words in describe_benefit_of_time(winner, board, changed(comparisons, twin, verdict), MEASURE)
    without = board[board.name != twin]
    assert "cannot assess" in describe_benefit_of_time(winner, without, comparisons, MEASURE)
    still = winner.model_copy(
        update={"architecture": winner.architecture.model_copy(update={"temporal": ("none",) * 2})}
    )
    assert "chose no operators along time" in describe_benefit_of_time(still, without, comparisons, MEASURE)
    linear = winner.model_copy(update={"architecture": Linear(in_channels=1, out_channels=2)})
    assert describe_benefit_of_time(linear, board, comparisons, MEASURE) == ""


def test_a_winner_that_does_not_beat_the_linear_model_says_so_first(timed):
    board, comparisons = benchmark(timed)

    def said(verdict):
        table = changed(comparisons, "connectivity-ridge", verdict)
        return headline(board, table, MEASURE, 0.95, "run", "run")

    assert said("better").startswith("On 6 locked test runs (6 participants) bayesian-1 reaches")
    assert "(no interval: the score does not vary between the units)" in said("better")
    first = "The searched network bayesian-1 does not beat the linear baseline connectivity-ridge: "
    words = {
        "indistinguishable": "is indistinguishable from it",
        "worse": "is worse than it",
        "untested": "not be tested",
    }
    for verdict, text in words.items():
        assert said(verdict).startswith(first) and text in said(verdict)


def test_a_linear_winner_says_so_first(timed):
    board, comparisons = benchmark(timed)
    board = board.assign(winner=board.name == "connectivity-ridge")
    text = headline(board, comparisons, MEASURE, 0.95, "run", "run")
    assert text.startswith("No network of this study is better by validation than the linear model connectivity-ridge.")


def test_runs_are_listed_with_what_excluded_them(timed):
    table = quality_table(read_quality(timed))
    assert [c.title for c in table.columns] == ["run", "tSNR", "mean FD mm", "volumes", "kept", "excluded"]
    assert [text for text, _ in table.rows[0]] == ["sub-00", "50", "0.70", "120", "118", ""]
    assert table.marked == {1} and "at most 0.5" in table.rows[1][-1][0]


def test_the_page_has_it_all(timed):
    page = render_report(timed)
    for text in (
        "Benefit of 4D input",
        "A within-participant study",
        "Quality of the runs",
        "2 runs were measured before the cleaning; 1 are excluded",
        "6 volumes, step 2",
        "0.008 to the highest Hz",
        'id="figure-quality"',
    ):
        assert text in page


@pytest.mark.parametrize(("p", "words"), [
    (0.01, "It is better than connectivity-ridge"),
    (0.2, "The folds cannot distinguish it from connectivity-ridge"),
    (float("nan"), "Fewer than 4 folds give no test"),
])  # fmt: skip
def test_cross_validated_scores_stand_beside_the_test(tmp_path, p, words):
    row = {"rank": 1, "name": "selected", "chosen_on": "the other folds", "networks": "bayesian-1 (4), random-1 (1)",
           "key": "", "folds": 3 if p != p else 5, "cases": 500, "units": 9, "score": 0.75, "p_permutation": 0.004,
           "reference": "", "difference": float("nan"), "p_difference": float("nan")}  # fmt: skip
    own = {**row, "rank": 2, "name": "connectivity-ridge", "chosen_on": "no fold", "networks": "", "score": 0.7,
           "reference": "selected", "difference": -0.05, "p_difference": p}  # fmt: skip
    chosen = {**own, "rank": 3, "name": "bayesian-1", "chosen_on": "these folds", "p_permutation": float("nan"),
              "p_difference": float("nan")}  # fmt: skip
    paths = StudyPaths(tmp_path)
    assert read_folds(paths) is None
    write_table(paths.cross_validation, pd.DataFrame([row, own, chosen]))
    table = read_folds(paths)
    sentence = folds_sentence(table, MEASURE, 0.95)
    assert words in sentence and "500 cases of 9 units" in sentence and "bayesian" not in sentence
    assert "better than chance (p = 0.004 by permutation)" in sentence
    shown = folds_table(table, MEASURE)
    assert shown.columns[5].title == "minus selected" and shown.marked == {0}
    assert [text for text, _ in shown.rows[0]][1:4] == [
        "selected: bayesian-1 (4), random-1 (1)",
        "the other folds",
        "0.750",
    ]
    assert [text for text, _ in shown.rows[2]][4:] == ["\u2013", "\u22120.050", "\u2013"]


def test_other_studies_show_none_of_it(finished_study):
    page = render_report(finished_study)
    assert "Benefit of 4D input" not in page and "Quality of the runs" not in page and "within-participant" not in page
    assert "normalisation" in page and "crop to the non-zero voxels" in page
