"""Classification and regression run to their end as segmentation does."""

import json
from pathlib import Path

import pandas as pd
import pytest
from running import snakemake, write_study


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_task_runs_to_its_end(task: str, tmp_path: Path) -> None:
    study = write_study(
        tmp_path,
        task=task,
        data__phantom__participants=16,
        search__steps=1,
        search__methods=["random"],
        baselines={"names": ["sfcn", "linear"], "steps": 1},
        training__seeds=1,
    )
    snakemake(tmp_path, "--configfile", str(study), "--cores", "2")
    root = tmp_path / "results" / "tiny"
    table = pd.read_csv(root / "leaderboard.tsv", sep="\t")
    assert set(table["name"]) >= {"random-1", "sfcn", "linear"}
    assert table["test_score"].notna().all()
    assert (root / "report.html").stat().st_size > 10_000
    assert json.loads((root / "model" / "model.json").read_text())["task"] == task
