"""Kinds of nodes and order of arrival through a profile: each job runs where its proposal was placed."""

import json
import subprocess
import sys

import pytest
import yaml
from studies import STUDY, Place, copy_study

KINDS = {
    "cpu": {"slots": 2, "resources": {"slurm_partition": "cpu", "gres": "none"}},
    "gpu": {"slots": 2, "resources": {"slurm_partition": "gpu", "gres": "gpu:1"}},
}
PARTITIONS = {kind: given["resources"]["slurm_partition"] for kind, given in KINDS.items()}


@pytest.fixture
def place(cluster, undisturbed, tmp_path):
    """A clone in which the study, with two kinds of nodes and in order of arrival, has its data."""
    study = yaml.safe_load(STUDY.read_text())
    study["placement"] = KINDS
    study["search"] |= {"order": "arrival", "window": 4, "steps": 6}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(study))
    found = Place(cluster, tmp_path / "clone", "slurm-generic", file)
    copy_study(undisturbed.folder.with_name("begun"), found.folder)
    return found


@pytest.mark.slow
def test_jobs_run_on_the_kind_of_node_that_they_were_placed_on(place, cluster):
    place.run("--until", "device")
    measured = {p.stem: json.loads(p.read_text()) for p in (place.study / "devices").glob("*.json")}
    assert set(measured) == set(KINDS)
    place.run()
    assert place.leftovers() == []
    rows = cluster.run("squeue", "-h", "--states=all", "-o", "%k|%P|%Z").splitlines()
    jobs = [row.split("|") for row in rows if row.endswith(str(place.folder))]
    trained = 0
    for rule, pattern in (("step", "search/random/steps/*/run.json"), ("train", "networks/*/seed-*/run.json")):
        kinds = sorted(json.loads(p.read_text())["kind"] for p in place.study.glob(pattern))
        partitions = sorted(partition for comment, partition, _ in jobs if comment.startswith(f"rule_{rule}_"))
        assert sorted(PARTITIONS[kind] for kind in kinds) == partitions
        trained += len(kinds)
    assert trained >= 6 + 2
    replay = [sys.executable, "-m", "voxnas", "replay", str(place.file)]
    done = subprocess.run(replay, cwd=place.folder, env=place.environment, capture_output=True, text=True)
    assert (done.returncode, "random (arrival): 6 of 6 proposals agree" in done.stdout) == (0, True), done
