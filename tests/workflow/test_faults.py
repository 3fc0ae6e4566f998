"""Kill Snakemake, lose a result: the study ends as undisturbed, and no sample is trained twice."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
from running import PROJECT, snakemake, write_study


def decisions(folder: Path) -> dict[str, str]:
    """Every file that must not depend on the course of a run: all records but run.json."""
    root = folder / "results" / "tiny"
    names = ("proposal.json", "result.json", "finalists.json", "curve.tsv", "splits.json", "plan.json")
    return {
        str(p.relative_to(root)): p.read_text()
        for p in sorted(root.rglob("*"))
        if p.name in names and "store" not in p.parts
    }


def training_runs(folder: Path) -> dict[str, str]:
    """What the store tells of the course of each training: launches, times, host."""
    return {p.parent.name: p.read_text() for p in (folder / "results" / "tiny" / "store").glob("*/run.json")}


def scores(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "results/tiny/leaderboard.tsv", sep="\t")
    return table[["name", "key", "validation_score", "test_score"]]


def test_a_lost_result_costs_no_training(study_copy: Path) -> None:
    study, before, trained = write_study(study_copy), decisions(study_copy), training_runs(study_copy)
    damaged = study_copy / "results/tiny/search/random/steps/1/result.json"
    damaged.write_text("{garbled")
    done = snakemake(study_copy, "--configfile", str(study), "--cores", "2", check=False)
    assert done.returncode and f"{damaged.relative_to(study_copy)} is not JSON" in done.stdout + done.stderr
    damaged.unlink()  # as the message says
    (study_copy / "results/tiny/search/random/steps/0/proposal.json").unlink()
    next((study_copy / "results/tiny/networks").glob("*/seed-0/result.json")).unlink()
    snakemake(study_copy, "--configfile", str(study), "--cores", "2")
    assert decisions(study_copy) == before
    assert training_runs(study_copy) == trained


def test_killed_study_resumes_to_the_same_end(finished_study: Path, tmp_path: Path) -> None:
    study = write_study(tmp_path)
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    base = ["--snakefile", str(PROJECT / "Snakefile"), "--cores", "2"]
    running = subprocess.Popen(
        ["snakemake", "--configfile", str(study), *base], cwd=tmp_path, env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    steps = tmp_path / "results/tiny/search"
    deadline = time.monotonic() + 300
    while len(list(steps.glob("*/steps/*/result.json"))) < 2:
        assert time.monotonic() < deadline and running.poll() is None, "the study never reached its second result"
        time.sleep(0.2)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    done = subprocess.run(
        [sys.executable, "-m", "voxnas", "resume", str(study), "--", *base], cwd=tmp_path, env=environment,
        capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert decisions(tmp_path) == decisions(finished_study)
    pd.testing.assert_frame_equal(scores(tmp_path), scores(finished_study))
