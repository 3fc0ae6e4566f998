"""`voxnas run` around the real Snakemake."""

import os
import subprocess
import sys
from pathlib import Path

from running import PATHS, PROJECT, write_study


def test_a_study_is_finished_quietly_and_its_result_is_told(study_copy: Path) -> None:
    (study_copy / "results/tiny/report.html").unlink()
    command = [sys.executable, "-m", "voxnas", "run", str(write_study(study_copy)), "--cores", "1"]
    command += ["--snakefile", str(PROJECT / "Snakefile")]
    environment = {**os.environ, **PATHS}
    done = subprocess.run(command, cwd=study_copy, env=environment, capture_output=True, text=True, timeout=600)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) <= 40 and (study_copy / "results/tiny/report.html").exists()
    titles = ["Winner", "Test score", "Compared", "Report", "Predict"]
    assert [line.partition(":")[0] for line in lines[-len(titles) :]] == titles
    assert "mean Dice 0." in lines[-4] and lines[-1].endswith("--model results/tiny/model --input SCANS --output OUT")
    assert "localrule" in (study_copy / "results/tiny/logs/snakemake.log").read_text()
