"""A study of time series, from generated runs to its report and to predictions of new runs."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from running import PROJECT, RunOnce, dry_run, snakemake

from voxnas.cli.main import main

STUDY = PROJECT / "config" / "test" / "runs.yaml"


@pytest.fixture(scope="module")
def finished(run_once: RunOnce) -> Path:
    """Working folder of the finished study."""
    return run_once("finished_runs", lambda folder: snakemake(folder, "--configfile", str(STUDY), "--cores", "2"))


def test_runs_are_kept_apart_and_volumes_are_scored(finished: Path) -> None:
    root = finished / "results" / "runs"
    splits = json.loads((root / "splits.json").read_text())
    assert splits["unit"] == "run" and splits["within"]
    board = pd.read_csv(root / "leaderboard.tsv", sep="\t")
    assert "voxel-ridge" in set(board.name) and board.test_score.between(0, 1).all()
    cases = pd.read_csv(next(root.glob("evaluation/*/cases.tsv")), sep="\t")
    assert set(cases.unit) == {splits["units"][scan] for scan in splits["test"]}
    assert set(cases.participant) == {unit.split("_")[0] for unit in cases.unit}
    assert cases.scan.str.contains("_volume-").all() and set(cases.target) == {"faces", "houses", "tools"}
    folds = pd.read_csv(root / "cross_validation.tsv", sep="\t")
    assert set(folds.chosen_on) >= {"no fold"} and folds.score.between(0, 1).all()


def test_the_page_says_what_kind_of_study_it_is(finished: Path) -> None:
    page = (finished / "results" / "runs" / "report.html").read_text()
    assert "within-participant" in page and 'id="folds"' in page and 'id="quality"' in page


def test_new_runs_are_predicted_without_their_events(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, new = finished / "results" / "runs", finished / "new"
    person = next((root / "data").glob("sub-*"))
    shutil.copytree(person, new / person.name, ignore=shutil.ignore_patterns("*_events.tsv"))
    arguments = ["predict", "--model", root / "model", "--input", new, "--output", finished / "out"]
    assert main(list(map(str, arguments))) == 0
    table = pd.read_csv(finished / "out" / "predictions.tsv", sep="\t")
    assert len(table) == 2 * 72 and set(table.predicted) <= {"faces", "houses", "tools"}
    assert "predicted 144 volumes" in capsys.readouterr().out


def test_a_model_of_runs_is_scored_on_a_data_set(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = finished / "results" / "runs"
    arguments = ["evaluate", "--model", root / "model", "--data", root / "data", "--output", finished / "scored"]
    assert main(list(map(str, arguments))) == 0
    cases = pd.read_csv(finished / "scored" / "cases.tsv", sep="\t")
    assert set(cases.seen) == {"yes"} and set(cases.participant) == {f"sub-0{i}" for i in range(1, 5)}
    assert "whose images the study of this model trained" in capsys.readouterr().err


def test_another_filter_leaves_the_index_alone(finished: Path, tmp_path: Path) -> None:
    import yaml

    changed = yaml.safe_load(STUDY.read_text())
    changed["bold"]["high_pass"] = 0.02
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(changed))
    plan, _ = dry_run(finished, tmp_path / "study.yaml", "--until", "preprocess")
    assert plan["preprocess_runs"] == 2 and {"index", "index_shard", "split", "phantom", "spatial"}.isdisjoint(plan)
