"""A tiny study, run once by the real workflow, and dry runs over copies of it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

PROJECT = Path(__file__).parents[2]
TINY = PROJECT / "config" / "test" / "tiny.yaml"


def snakemake(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the project's Snakefile in a working folder."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    command = ["snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--directory", str(folder), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=900)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
    return done


def write_study(folder: Path, **changes: object) -> Path:
    """Write the tiny study with some top-level or dotted keys changed; return the file."""
    settings = yaml.safe_load(TINY.read_text())
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = settings
        for parent in parents:
            place = place.setdefault(parent, {})
        place[last] = value
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def planned_jobs(text: str) -> dict[str, int]:
    """Number of planned jobs of each rule, from the output of a dry run."""
    if "Nothing to be done" in text:
        return {}
    table = text.split("Job stats:")[-1]
    counts = {name: int(n) for name, n in re.findall(r"^([a-z_]+) +(\d+)$", table, re.MULTILINE)}
    return {name: n for name, n in counts.items() if name != "total"}


@pytest.fixture(scope="session")
def finished_study(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """Working folder of a tiny study that has run to its end; parallel test processes share one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "finished_study"
    with FileLock(f"{folder}.lock"):
        if not (folder / "ended").exists():
            folder.mkdir(exist_ok=True)
            snakemake(folder, "--configfile", str(write_study(folder)), "--cores", "2")
            (folder / "ended").touch()
    return folder


@pytest.fixture
def study_copy(finished_study: Path, tmp_path: Path) -> Path:
    """A copy of the finished study, with the times of its files kept."""
    folder = tmp_path / "study"
    shutil.copytree(finished_study, folder, symlinks=True)
    return folder


@pytest.fixture
def plan_after(study_copy: Path) -> Callable[..., dict[str, int]]:
    """Function: the jobs that a dry run plans after some settings have changed."""

    def plan(*arguments: str, **changes: object) -> dict[str, int]:
        study = write_study(study_copy, **changes)
        done = snakemake(study_copy, "--configfile", str(study), "--dry-run", *arguments)
        return planned_jobs(done.stdout + done.stderr)

    return plan
