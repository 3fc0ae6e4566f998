"""Kill a study on one computer at random, and compare its end with an undisturbed run.

The study runs once undisturbed and then again and again with SIGKILL at random moments: to Snakemake, to a job, to a
training process, or to all of them at once, as in a power failure. After the end of Snakemake, `voxnas resume` is
called; there is no other intervention. (`tests/slurm/soak.py` does the same on a Slurm cluster.)

    python benchmarks/kills.py --kills 30 --output results/published/kills
    python benchmarks/kills.py --kills 12 --each 6 --after finalists.json     later stages only

Writes kills.tsv (one row per kill, with the running commands) and studies.tsv (one row per disturbed run). The records
and tables are those of compare_checkouts.py, without measured times and memory. The exit status is 1 if one differs.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import psutil
from compare_checkouts import PROJECT, compare_study

STUDY = PROJECT / "config" / "test" / "tiny.yaml"
NAME = "tiny"
RESUMES = 40  # of one run, after which it counts as stuck
HANG_SECONDS = 3600.0


def start(folder: Path, *command: str) -> subprocess.Popen[bytes]:
    """Start a command in the folder of a run, as leader of a group of processes."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "OMP_NUM_THREADS": "1"}
    with open(folder / "run.log", "a") as log:
        return subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )


def run(folder: Path, resumed: bool) -> subprocess.Popen[bytes]:
    """Start or resume the study in a folder."""
    options = ["--snakefile", str(PROJECT / "Snakefile"), "--cores", "2"]
    if resumed:
        return start(folder, sys.executable, "-m", "voxnas", "resume", str(STUDY), "--", *options)
    return start(folder, sys.executable, "-m", "snakemake", "--configfile", str(STUDY), *options)


def command_of(process: psutil.Process) -> str:
    """Short command of a process: the verb of voxnas, its worker, or the program."""
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return ""
    if not line:  # a process that has ended
        return ""
    if "voxnas.training.worker" in line:
        return "worker"
    verb = re.search(r"-m voxnas (?:--log \S+ )?([a-z]+)", line)
    return f"voxnas {verb.group(1)}" if verb else "snakemake" if "snakemake" in line else Path(line.split()[0]).name


def kill(process: psutil.Process) -> None:
    """Send SIGKILL to a process that may have ended."""
    with contextlib.suppress(psutil.Error):
        process.kill()


def in_folder(process: psutil.Process, folder: Path) -> bool:
    """Whether a process works in the folder of a run."""
    try:
        return process.cwd() == str(folder)
    except psutil.Error:
        return False


def strike(leader: subprocess.Popen[bytes], chance: random.Random) -> tuple[str, str] | None:
    """Kill one process of a run, or all; return the kind and the commands, or None if the run has ended."""
    try:
        root = psutil.Process(leader.pid)
        below = root.children(recursive=True)
    except psutil.Error:
        return None
    work = [p for p in below if command_of(p) == "worker" or command_of(p).startswith("voxnas")]
    kind = chance.choice(["snakemake", "job", "job", "everything"])
    hit = {"snakemake": [root], "job": [chance.choice(work)] if work else [], "everything": [root, *below]}[kind]
    if not hit:
        return None
    busy = ", ".join(sorted({command_of(p) for p in work} - {""})) or "none"
    names = command_of(hit[0]) if kind == "job" else busy
    for process in hit:
        kill(process)
    return kind, names


def disturb(
    folder: Path, wanted: int, every: float, after: str, chance: random.Random
) -> tuple[list[dict[str, object]], int]:
    """Run the study and kill up to `wanted` times once the file `after` exists; return the kills and the resumes."""
    begun, kills, resumes, process = time.monotonic(), [], 0, run(folder, resumed=False)
    while True:
        try:
            status = process.wait(chance.expovariate(1 / every) if len(kills) < wanted else HANG_SECONDS)
        except subprocess.TimeoutExpired:
            if len(kills) >= wanted:
                raise SystemExit(f"the run in {folder} hangs") from None
            begins = (folder / "results" / NAME / after).exists()
            if begins and (hit := strike(process, chance)) is not None:
                row = {"second": round(time.monotonic() - begun, 1), "killed": hit[0], "running": hit[1]}
                kills.append(row)
                print(*row.values(), sep="\t", flush=True)
            continue
        if status == 0:
            return kills, resumes
        resumes += 1
        if resumes > RESUMES:
            raise SystemExit(f"the run in {folder} does not end; see {folder / 'run.log'}")
        process = run(folder, resumed=True)


def main() -> int:
    """Run, kill, compare, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30, help="kills in all runs together")
    parser.add_argument("--each", type=int, default=8, help="most kills of one run")
    parser.add_argument("--every", type=float, default=12.0, help="mean seconds between two kills")
    parser.add_argument("--after", default="", metavar="FILE", help="kill only once this file of the study exists")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("results/kills"), help="folder of the runs")
    parser.add_argument("--output", type=Path, help="folder of the tables")
    arguments = parser.parse_args()
    work = arguments.work.resolve()
    whole = work / "undisturbed"
    for folder in work.glob("run-*"):
        shutil.rmtree(folder)
    whole.mkdir(parents=True, exist_ok=True)
    if run(whole, resumed=False).wait():
        parser.exit(1, f"the undisturbed run failed; see {whole / 'run.log'}\n")
    chance, kills, rows = random.Random(arguments.seed), [], []
    while len(kills) < arguments.kills:
        number = len(rows) + 1
        folder = work / f"run-{number}"
        folder.mkdir()
        begun = time.monotonic()
        wanted = min(arguments.each, arguments.kills - len(kills))
        found, resumes = disturb(folder, wanted, arguments.every, arguments.after, chance)
        differ, _ = compare_study(NAME, whole, folder)
        left = [command_of(p) for p in psutil.process_iter() if in_folder(p, folder)]
        report = (folder / "results" / NAME / "report.html").is_file()
        row = {"run": number, "kills": len(found), "resumes": resumes, "seconds": round(time.monotonic() - begun)}
        row |= {"records_that_differ": differ, "report": report}
        rows.append({**row, "still_running": ", ".join(left) or "none"})
        kills += [{"run": number, **hit} for hit in found]
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(kills).to_csv(arguments.output / "kills.tsv", sep="\t", index=False)
        pd.DataFrame(rows).to_csv(arguments.output / "studies.tsv", sep="\t", index=False)
    good = all(row["records_that_differ"] == 0 and row["report"] and row["still_running"] == "none" for row in rows)
    print(f"{len(kills)} kills in {len(rows)} runs: {'all tables as undisturbed' if good else 'NOT as undisturbed'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
