"""The conda file matches the output of envs/make_conda.py for the lock."""

import runpy
from pathlib import Path

import yaml

ENVS = Path(__file__).parents[2] / "envs"


def test_conda_file_is_up_to_date():
    conda_text = runpy.run_path(str(ENVS / "make_conda.py"))["conda_text"]
    assert (ENVS / "voxnas.yaml").read_text() == conda_text((ENVS / "requirements.txt").read_text())


def test_conda_file_hands_the_whole_lock_to_pip():
    environment = yaml.safe_load((ENVS / "voxnas.yaml").read_text())
    pip = next(entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict))
    lock = [line for line in (ENVS / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert pip == lock
