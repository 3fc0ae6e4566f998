import numpy as np
import pytest

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import benchmark
from voxnas.benchmark.published import published_statistic
from voxnas.core.errors import UserError
from voxnas.io.records import read_json, write_json


def test_a_published_reference_is_compared_by_scan_and_enters_no_choice(fake_segmentation, tmp_path):
    winner = results.finalists(fake_segmentation)[0]
    table = results.cases(fake_segmentation.cases(winner.key), "segmentation")
    dice = table[table.seed != "ensemble"].groupby("scan").dice.mean()
    file = tmp_path / "published.tsv"
    rows = [f"{scan}\t{value - 0.03}\t{value - 0.01}" for scan, value in dice.items()]
    file.write_text("\n".join(["case\tdice_1\tdice_2", "other\t0.1\t0.1", *rows[::-1]]) + "\n")
    before, _ = benchmark(fake_segmentation)
    spec = fake_segmentation.spec("benchmark")
    write_json(spec, read_json(spec) | {"published": {"nnU-Net": str(file)}})
    leaderboard, comparisons = benchmark(fake_segmentation)
    assert leaderboard.equals(before)
    row = comparisons[comparisons.comparison == "published"].iloc[0]
    assert (row["first"], row.second) == ("bayesian-1", "nnU-Net")
    assert row.difference == pytest.approx(0.02) and len(comparisons) == 7


@pytest.mark.parametrize(
    ("text", "measure", "message"),
    [
        ("scan\tdice\na\t0.5\n", "dice", r"no score of the test scan b \(1 missing\)"),
        ("scan\tdice\na\thigh\n", "dice", "column 'dice'"),
        ("scan\tscore\na\t1\n", "dice", "has the columns scan, score"),
        ("scan\tauc\na\t1\n", "auc", "give no auc"),
    ],
)
def test_tables_without_the_scores_are_refused(tmp_path, text, measure, message):
    file = tmp_path / "x.tsv"
    file.write_text(text)
    with pytest.raises(UserError, match=message):
        published_statistic(file, ["a", "b"], measure)


def test_the_scores_follow_the_order_of_the_cases(tmp_path):
    file = tmp_path / "x.tsv"
    file.write_text("scan\tdice\na\t0.5\nb\t0.7\n")
    weights = np.array([[1.0, 0.0]])
    assert published_statistic(file, ["b", "a"], "dice")(weights)[0, 0] == 0.7
