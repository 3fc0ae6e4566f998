"""``--until STAGE`` ends at the stage, also behind the checkpoint, where Snakemake's own forgets the jobs."""

import shutil
from pathlib import Path

import pytest
from running import planned_jobs, snakemake, write_study

LAST = {
    "index": "index",
    "preprocess": "preprocess",
    "search": "summarize",
    "train": "trainings",
    "benchmark": "benchmark",
}
LATER = {"index": "plan", "preprocess": "step", "search": "select", "train": "evaluate", "benchmark": "report"}


def jobs_until(folder: Path, stage: str) -> dict[str, int]:
    done = snakemake(folder, "--configfile", str(write_study(folder)), "--dry-run", "--until", stage)
    return planned_jobs(done.stdout + done.stderr)


@pytest.mark.parametrize("stage", ["index", "preprocess", "search"])
def test_fresh_study_stops_at_the_stage(stage: str, tmp_path: Path) -> None:
    plan = jobs_until(tmp_path, stage)
    assert plan[LAST[stage]] >= 1
    assert LATER[stage] not in plan


@pytest.mark.parametrize("stage", ["train", "benchmark"])
def test_stage_behind_the_checkpoint_is_planned_whole(stage: str, study_copy: Path) -> None:
    root = study_copy / "results" / "tiny"
    seeds = len(list(root.glob("networks/*/seed-*")))
    for name in ("networks", "evaluation", "networks.tsv", "leaderboard.tsv", "comparisons.tsv", "figures", "model"):
        path = root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    plan = jobs_until(study_copy, stage)
    assert plan["train"] == seeds and plan[LAST[stage]] == 1
    assert LATER[stage] not in plan
