"""Runs, dry runs and kills of Snakemake on the project's workflow."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2]
TINY = PROJECT / "config" / "test" / "tiny.yaml"
BASE = ["--snakefile", str(PROJECT / "Snakefile"), "--cores", "2"]
RunOnce = Callable[[str, Callable[[Path], object]], Path]
PATHS = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}


def snakemake(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run Snakemake on the project's Snakefile in a working folder."""
    command = ["snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--directory", str(folder), *arguments]
    done = subprocess.run(command, env={**os.environ, **PATHS}, capture_output=True, text=True, timeout=900)
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
    assert counts.pop("total", None) == sum(counts.values()), f"no plan can be read from\n{text[-3000:]}"
    return counts


def dry_run(folder: Path, study: Path, *arguments: str) -> tuple[dict[str, int], str]:
    """Return the planned jobs of each rule, and the output of the dry run."""
    done = snakemake(folder, "--configfile", str(study), "--dry-run", *arguments)
    text = done.stdout + done.stderr
    return planned_jobs(text), text


def start_and_kill(folder: Path, study: Path, *moments: Callable[[], object], arguments: Sequence[str] = ()) -> None:
    """Start a study, wait for each moment in turn, and kill Snakemake."""
    command = ["snakemake", "--configfile", str(study), *BASE, *arguments]
    running = subprocess.Popen(
        command, cwd=folder, env={**os.environ, **PATHS}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    deadline = time.monotonic() + 300
    for moment in moments:
        while not moment():
            assert time.monotonic() < deadline and running.poll() is None, "the study ended before it was disturbed"
            time.sleep(0.05)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()


def resume(folder: Path, study: Path, *arguments: str) -> None:
    """Run ``voxnas resume`` to the end of the study."""
    command = [sys.executable, "-m", "voxnas", "resume", str(study), "--", *BASE, *arguments]
    environment = {**os.environ, **PATHS}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]


def trainings(folder: Path) -> dict[str, str]:
    """Run record of each training in the store: launches, times, host."""
    return {p.parent.name: p.read_text() for p in (folder / "results/tiny/store").glob("*/run.json")}
