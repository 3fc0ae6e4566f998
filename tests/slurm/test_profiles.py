"""The profiles as a user has them: one command from a fresh clone."""

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
import yaml
from cluster import Cluster
from studies import PROJECT, differences, wait_for

from voxnas.io.slurm import PREFIX

PROFILES = PROJECT / "workflow" / "profiles"


def test_a_study_runs_through_slurm_gpu(cluster, undisturbed):
    assert (undisturbed.study / "report.html").exists()
    assert undisturbed.leftovers() == []
    assert undisturbed.doubles() == []
    rows = cluster.run("squeue", "-h", "--states=all", "-o", "%k|%P|%b|%j|%Z|%T").splitlines()
    jobs = [
        dict(zip(("rule", "partition", "gres", "name", "folder", "state"), r.split("|"), strict=True)) for r in rows
    ]
    mine = [job for job in jobs if job["folder"] == str(undisturbed.folder)]
    assert {job["state"] for job in mine} == {"COMPLETED"}
    trained = [job for job in mine if job["rule"].startswith(("rule_step_", "rule_train_"))]
    assert len(trained) == 3 + 2
    assert {(job["partition"], job["gres"]) for job in trained} == {("gpu", "gres:gpu:1")}
    others = [job for job in mine if not job["rule"].startswith(("rule_step", "rule_train", "rule_evaluate"))]
    assert {(job["partition"], job["gres"]) for job in others} == {("cpu", "N/A")}
    # `voxnas resume` knows them by their name.
    assert all(job["name"].startswith(PREFIX) for job in mine)


@pytest.mark.slow
@pytest.mark.parametrize("profile", ["slurm", "slurm-generic"])
def test_the_other_profiles_end_with_the_same_tables(begin, tables, profile):
    place = begin(profile)
    place.run()
    assert differences(place.study, tables) == []
    assert place.leftovers() == []


def test_make_profiles_names_the_cluster_and_keeps_what_is_there(tmp_path):
    environment = {"PATH": "/usr/bin:/bin", "XDG_CONFIG_HOME": str(tmp_path), "PARTITION": "long", "ACCOUNT": "lab"}
    environment["GPU_PARTITION"] = "a100"
    install = [PROFILES / "install.sh"]
    first = subprocess.run(install, env=environment, capture_output=True, text=True, check=True).stdout
    assert first.count("installed") == 4
    files = {p.parent.name: yaml.safe_load(p.read_text()) for p in tmp_path.glob("snakemake/*/config.v9+.yaml")}
    assert sorted(files) == sorted(p.name for p in PROFILES.iterdir() if p.is_dir())
    assert files["slurm-gpu"]["set-resources"]["step"]["slurm_partition"] == "a100"
    assert files["slurm"]["default-resources"]["slurm_partition"] == "long"
    assert files["slurm"]["default-resources"]["slurm_account"] == "lab"
    assert "lab" in files["slurm-generic"]["default-resources"]["sbatch"]
    mine = tmp_path / "snakemake" / "slurm" / "config.v9+.yaml"
    mine.write_text("jobs: 3\n")
    assert subprocess.run(install, env=environment, capture_output=True, text=True).stdout.count("kept") == 4
    assert mine.read_text() == "jobs: 3\n"


def asked_for(name):
    """How the Slurm plugin asks for its jobs."""
    words = "-X --parsable2 --clusters all --noheader --format=JobIdRaw,State --starttime 2020-01-01T00:00"
    return [*words.split(), "--name", name]


def test_our_sacct_says_what_the_plugin_understands(cluster):
    job = cluster.run("sbatch", "--parsable", "-J", "voxnas_a", "-o", "/dev/null", "--wrap", "sleep 60").strip()
    wait_for(lambda: cluster.states()[job] == "RUNNING", 30, "the job runs")
    cluster.run("scancel", job)
    wait_for(lambda: "CANCELLED" in cluster.run("sacct", *asked_for("voxnas_a")), 60, "the database knows")
    assert "CANCELLED by" in cluster.run("sacct", *asked_for("voxnas_a")), "what the plugin does not understand"
    ours = str(PROJECT / "workflow" / "slurm" / "sacct")
    assert cluster.run(ours, *asked_for("voxnas_a")) == f"{job}|CANCELLED\n"
    assert cluster.run(ours, *asked_for("voxnas_nobody")) == ""
    assert cluster.run(ours, "-j", job, "-n", "-X", "-o", "nodelist%-256") == "", "no node is shunned"
    assert cluster.run(ours, "-n", "-X", "-j", job, "-o", "State").strip().startswith("CANCELLED"), (
        "the real one's answer"
    )


@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_our_sacct_waits_for_a_controller_and_does_without_a_database():
    base = Path(tempfile.mkdtemp(prefix="voxnas-slurm-"))
    cluster = Cluster(base, port=28817, accounting=False)
    ours = str(PROJECT / "workflow" / "slurm" / "sacct")
    try:
        cluster.start()
        job = cluster.run("sbatch", "--parsable", "-J", "voxnas_b", "-o", "/dev/null", "--wrap", "true").strip()
        wait_for(lambda: cluster.states()[job] == "COMPLETED", 30, "the job ends")
        assert cluster.run(ours, *asked_for("voxnas_b")) == f"{job}|COMPLETED\n"
        cluster.stop_controller()
        asking = subprocess.Popen(
            [ours, *asked_for("voxnas_b")], env=cluster.environment, stdout=subprocess.PIPE, text=True
        )
        time.sleep(5)
        cluster.start_controller()
        assert asking.communicate(timeout=60)[0] == f"{job}|COMPLETED\n"
    finally:
        cluster.stop()
        shutil.rmtree(base, ignore_errors=True)
