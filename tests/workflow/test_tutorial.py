"""Every command of the tutorial, in its order, on a finished study of generated data."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from running import PATHS, PROJECT


def test_the_commands_of_the_tutorial_run(study_copy: Path) -> None:
    tutorial = (PROJECT / "docs" / "tutorial.md").read_text()
    commands = re.findall(r"^    (voxnas .*)$", tutorial, re.MULTILINE)
    assert [line.split()[1] for line in commands] == [
        "validate", "new", "estimate", "run", "watch", "predict", "evaluate", "export"
    ]  # fmt: skip
    (study_copy / "results" / "tiny").rename(study_copy / "results" / "mine")
    data = "results/mine/data"
    words = {"BIDS": data, "SCANS": f"{data}/sub-01/anat/sub-01_T1w.nii.gz"}
    options = {"cwd": study_copy, "env": {**os.environ, **PATHS}, "capture_output": True, "text": True}
    for line in commands:
        arguments = [words.get(word, word) for word in shlex.split(line)[1:]]
        if arguments[0] == "run":
            arguments.append("--dry-run")
        done = subprocess.run([sys.executable, "-m", "voxnas", *arguments], **options, check=False)
        assert done.returncode == 0, f"{line}\n{done.stdout[-1500:]}{done.stderr[-1500:]}"
    for made in ("config/studies/mine.yaml", "predictions", "evaluation/scores.tsv", "results/mine/export/trials.csv"):
        assert (study_copy / made).exists()
