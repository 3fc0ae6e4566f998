"""``--until STAGE`` ends at the stage, also behind the checkpoint, where Snakemake's own forgets the jobs."""

import shutil
from pathlib import Path

import pytest
from running import dry_run, write_study


@pytest.mark.parametrize(
    ("stage", "last", "later"),
    [("index", "index", "plan"), ("preprocess", "preprocess", "step"), ("search", "summarize", "select")],
)
def test_fresh_study_stops_at_the_stage(stage: str, last: str, later: str, tmp_path: Path) -> None:
    plan, _ = dry_run(tmp_path, write_study(tmp_path), "--until", stage)
    assert plan[last] >= 1 and later not in plan


@pytest.mark.parametrize(
    ("stage", "last", "later"), [("train", "trainings", "evaluate"), ("benchmark", "benchmark", "report")]
)
def test_stage_behind_the_checkpoint_is_planned_whole(stage: str, last: str, later: str, study_copy: Path) -> None:
    root = study_copy / "results" / "tiny"
    seeds = len(list(root.glob("networks/*/seed-*")))
    for name in ("networks", "evaluation", "networks.tsv", "leaderboard.tsv", "comparisons.tsv", "figures", "model"):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    plan, _ = dry_run(study_copy, write_study(study_copy), "--until", stage)
    assert plan["train"] == seeds and plan[last] == 1 and later not in plan
