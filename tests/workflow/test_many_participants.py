"""The DAG grows with the shards and not with the participants, so that a dry run of a cohort is quick."""

import os
from pathlib import Path

import pytest
from running import dry_run, write_study


def cohort(root: Path, participants: int) -> Path:
    """A BIDS data set of empty images."""
    for i in range(participants):
        folder = root / f"sub-{i:04d}" / "func"
        folder.mkdir(parents=True)
        (folder / f"sub-{i:04d}_task-rest_bold.nii.gz").touch()
    people = "".join(f"sub-{i:04d}\t{'ab'[i % 2]}\n" for i in range(participants))
    (root / "participants.tsv").write_text("participant_id\tdx\n" + people)
    return root


@pytest.mark.parametrize("participants", [50, 1000])
def test_a_dry_run_takes_seconds(tmp_path: Path, participants: int) -> None:
    root = cohort(tmp_path / "data", participants)
    changes = {"task": "classification", "data_root": str(root), "data__suffix": "bold", "data__target": "dx"}
    study = write_study(tmp_path, preprocess__shards=4, search__space="cnn", **changes)
    before = os.times()
    plan, _ = dry_run(tmp_path, study, "--until", "preprocess")
    # Processor time of the command: the wall time is also that of whatever else the machine does.
    after = os.times()
    assert after.children_user + after.children_system - before.children_user - before.children_system < 5
    shares = ("index_shard", "index", "spatial", "preprocess_runs")
    assert {name: plan.get(name) for name in shares} == dict(zip(shares, (4, 1, 4, 4), strict=True))
    assert sum(plan.values()) < 30
