"""Planted faults: each is caught by the test named for it (``make mutants``, minutes)."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
MUTANTS = tomllib.loads(Path(__file__).with_name("mutants.toml").read_text(encoding="utf-8"))["mutant"]
FAILED = 1  # pytest's exit status if tests failed; other statuses are errors of collection or of usage
SECONDS = 600


def planted(mutant):
    """Text of the file with the fault."""
    text = (PROJECT / "src" / "voxnas" / mutant["file"]).read_text(encoding="utf-8")
    assert text.count(mutant["old"]) == 1, f"{mutant['file']} holds {text.count(mutant['old'])} times: {mutant['old']}"
    return text.replace(mutant["old"], mutant["new"])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])
def test_the_fault_and_its_test_exist(mutant):
    compile(planted(mutant), mutant["file"], "exec")
    for node in mutant["test"].split():
        file, _, name = node.partition("::")
        assert f"def {name.partition('[')[0]}(" in (PROJECT / file).read_text(encoding="utf-8")


@pytest.mark.skipif("VOXNAS_TEST_MUTANTS" not in os.environ, reason="minutes: make mutants")
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])
def test_the_fault_is_caught(mutant, tmp_path):
    source = tmp_path / "src"
    shutil.copytree(PROJECT / "src", source, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    (source / "voxnas" / mutant["file"]).write_text(planted(mutant), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-x", "-p", "no:cacheprovider", *mutant["test"].split()]
    environment = {**os.environ, "PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == FAILED, done.stdout[-3000:] + done.stderr[-3000:]
