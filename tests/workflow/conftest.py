"""A tiny study, run once by the real workflow, and dry runs over copies of it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock
from running import RunOnce, dry_run, snakemake, write_study


@pytest.fixture(scope="session")
def run_once(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> RunOnce:
    """Function: a folder of a name, which one of the parallel test processes has filled for all."""
    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent

    def once(name: str, fill: Callable[[Path], object]) -> Path:
        folder = shared / name
        with FileLock(f"{folder}.lock"):
            if not (folder / "ended").exists():
                folder.mkdir(exist_ok=True)
                fill(folder)
                (folder / "ended").touch()
        return folder

    return once


@pytest.fixture(scope="session")
def finished_study(run_once: RunOnce) -> Path:
    """Working folder of a tiny study that has run to its end."""
    return run_once(
        "finished_study", lambda folder: snakemake(folder, "--configfile", str(write_study(folder)), "--cores", "2")
    )


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
        return dry_run(study_copy, write_study(study_copy, **changes), *arguments)[0]

    return plan
