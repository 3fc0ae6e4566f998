"""Response times without work: the help page, and a no-op run of a finished study.

    python benchmarks/responsiveness.py [--steps 300 1000] [--output FILE.tsv]

The finished study consists of empty files in a temporary folder, so that Snakemake builds the complete DAG of the
given number of search steps without a training. Times are medians over repetitions.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pandas as pd
import yaml

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
KEYS = ["0" * 11 + digit for digit in "123"]


def timed(command: list[str], repeats: int) -> float:
    """Median wall time in s of a command that must succeed."""
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True)
        times.append(time.perf_counter() - begun)
    return statistics.median(times)


def snakemake(folder: Path, *arguments: str) -> list[str]:
    """Command line of Snakemake on the study in `folder`."""
    base = ["snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--directory", str(folder)]
    return [*base, "--configfile", str(folder / "study.yaml"), *arguments]


def outputs(folder: Path) -> list[str]:
    """Output files of the DAG, as far as it is known."""
    done = subprocess.run(snakemake(folder, "--summary"), env=ENVIRONMENT, check=True, capture_output=True, text=True)
    table = [line.split("\t") for line in done.stdout.splitlines() if "\t" in line]
    return [row[0] for row in table[1:]]


def finish(folder: Path, steps: int) -> None:
    """Make the files of a finished study with `steps` search steps in total."""
    study = {"study": "empty", "search": {"steps": steps // 2}, "baselines": {"names": []}}
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    for _ in range(2):  # before and after the checkpoint
        for name in outputs(folder):
            path = folder / name
            if not path.suffix:
                path.mkdir(parents=True, exist_ok=True)
            elif not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                text = json.dumps({"networks": [{"key": key} for key in KEYS]}) if path.name == "finalists.json" else ""
                path.write_text(text)
        subprocess.run(snakemake(folder, "--touch", "--cores", "1"), env=ENVIRONMENT, check=True, capture_output=True)
    done = subprocess.run(snakemake(folder, "--dry-run"), env=ENVIRONMENT, check=True, capture_output=True, text=True)
    if "Nothing to be done" not in done.stdout + done.stderr:
        raise SystemExit(f"the study of {steps} steps is not finished:\n{done.stdout[-2000:]}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="*", default=[300, 1000], help="search steps of the studies")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, help="also write the table as TSV")
    arguments = parser.parse_args()
    python = timed([sys.executable, "-c", "pass"], arguments.repeats)
    rows = [("python -c pass", python), ("voxnas --help", timed([str(BIN / "voxnas"), "--help"], arguments.repeats))]
    for steps in arguments.steps:
        with tempfile.TemporaryDirectory() as folder:
            finish(Path(folder), steps)
            rows.append(
                (f"no-op run, {steps} steps", timed(snakemake(Path(folder), "--cores", "1"), arguments.repeats))
            )
    table = pd.DataFrame(rows, columns=["what", "seconds"]).assign(times_python=lambda t: t.seconds / python)
    print(table.round(3).to_string(index=False))
    if arguments.output:
        table.round(4).to_csv(arguments.output, sep="\t", index=False)


if __name__ == "__main__":
    main()
