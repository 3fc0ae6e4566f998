"""Runs and dry runs of Snakemake on the project's workflow."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

PROJECT = Path(__file__).parents[2]
TINY = PROJECT / "config" / "test" / "tiny.yaml"
RunOnce = Callable[[str, Callable[[Path], object]], Path]


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
    assert counts.pop("total", None) == sum(counts.values()), f"no plan can be read from\n{text[-3000:]}"
    return counts
