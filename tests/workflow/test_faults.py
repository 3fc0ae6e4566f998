"""Kill Snakemake, lose a result: the study ends as undisturbed, and no sample is trained twice."""

from pathlib import Path

import pandas as pd
from running import resume, snakemake, start_and_kill, trainings, write_study


def decisions(folder: Path) -> dict[str, str]:
    """Every file that must not depend on the course of a run: all records but run.json."""
    root = folder / "results" / "tiny"
    names = ("proposal.json", "result.json", "finalists.json", "curve.tsv", "splits.json", "plan.json")
    return {
        str(p.relative_to(root)): p.read_text()
        for p in sorted(root.rglob("*"))
        if p.name in names and "store" not in p.parts
    }


def scores(folder: Path) -> pd.DataFrame:
    table = pd.read_csv(folder / "results/tiny/leaderboard.tsv", sep="\t")
    return table[["name", "key", "validation_score", "test_score"]]


def test_a_lost_result_costs_no_training(study_copy: Path) -> None:
    study, before, trained = write_study(study_copy), decisions(study_copy), trainings(study_copy)
    damaged = study_copy / "results/tiny/search/random/steps/1/result.json"
    damaged.write_text("{garbled")
    done = snakemake(study_copy, "--configfile", str(study), "--cores", "2", check=False)
    assert done.returncode and f"{damaged.relative_to(study_copy)} is not JSON" in done.stdout + done.stderr
    damaged.unlink()  # as the message says
    (study_copy / "results/tiny/search/random/steps/0/proposal.json").unlink()
    next((study_copy / "results/tiny/networks").glob("*/seed-0/result.json")).unlink()
    snakemake(study_copy, "--configfile", str(study), "--cores", "2")
    assert decisions(study_copy) == before
    assert trainings(study_copy) == trained


def test_killed_study_resumes_to_the_same_end(finished_study: Path, tmp_path: Path) -> None:
    steps = tmp_path / "results/tiny/search"
    study = write_study(tmp_path)
    start_and_kill(tmp_path, study, lambda: len(list(steps.glob("*/steps/*/result.json"))) >= 2)
    resume(tmp_path, study)
    assert decisions(tmp_path) == decisions(finished_study)
    pd.testing.assert_frame_equal(scores(tmp_path), scores(finished_study))
