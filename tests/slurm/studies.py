"""The tiny study on the test cluster: started, watched, broken, and compared with an undisturbed one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import TypeVar

import pandas as pd
import psutil
from cluster import Cluster

T = TypeVar("T")
PROJECT = Path(__file__).parents[2]
STUDY = PROJECT / "config" / "test" / "slurm.yaml"
# Times and memory are measured anew in each run.
MEASURED = ["latency_ms", "peak_memory_mib", "train_memory_mib"]
MEASURED += [f"{what}_seconds_{how}" for what in ("search", "train") for how in ("predicted", "measured")]
RECORDS = {"proposal.json", "result.json", "curve.tsv", "network.json", "cases.tsv", "trials.tsv"}
RECORDS |= {"splits.json", "plan.json", "finalists.json", "networks.tsv", "comparisons.tsv", "scans.tsv"}
# Questions are asked more often than a real cluster would like.
FASTER = {
    "status-checks: 20": "status-checks: 3",
    "seconds-between-status-checks: 5": "seconds-between-status-checks: 1",
}


class Place:
    """A fresh clone on the cluster, as a user has it after `make profiles`.

    Parameters
    ----------
    cluster : Cluster
    folder : path
        Where the clone is made, by links; Snakemake's working folder.
    profile : str
        Profile that runs the study.
    file : path
        The study file.
    """

    def __init__(self, cluster: Cluster, folder: Path, profile: str, file: Path = STUDY) -> None:
        self.cluster, self.folder, self.profile, self.file = cluster, folder, profile, file
        self.study = folder / "results" / "tiny"
        self.log = folder / "run.log"
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("Snakefile", "workflow", "src", "config", "envs"):
            if not (folder / name).exists():
                (folder / name).symlink_to(PROJECT / name)
        home = cluster.base / "home"
        self.environment = {
            **cluster.environment,
            "PATH": f"{Path(sys.executable).parent}:{cluster.environment['PATH']}",
            "XDG_CONFIG_HOME": str(home / "config"),
            "XDG_CACHE_HOME": str(home / "cache"),
            "OMP_NUM_THREADS": "1",
        }
        install_profiles(self.environment)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """``snakemake --profile PROFILE`` on the study."""
        return self._popen("snakemake", "--profile", self.profile, "--configfile", str(self.file), *arguments)

    def resume(self) -> subprocess.Popen[bytes]:
        """``voxnas resume``, which knows the profile."""
        return self._popen(sys.executable, "-m", "voxnas", "resume", str(self.file))

    def run(self, *arguments: str, seconds: float = 1800) -> None:
        """Run the study, or a part of it, to its end."""
        self.finish(self.start(*arguments), seconds)

    def finish(self, process: subprocess.Popen[bytes], seconds: float = 1800) -> None:
        """Wait for the end, which is to be a good one."""
        if process.wait(timeout=seconds):
            raise AssertionError(self.log.read_text()[-6000:])

    def _popen(self, *command: str) -> subprocess.Popen[bytes]:
        environment = dict(self.environment)
        if command[0] == sys.executable:
            environment["PYTHONPATH"] = str(PROJECT / "src")
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                command, cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def jobs(self, rule: str = "", state: str = "RUNNING") -> list[tuple[str, str]]:
        """Id and node of jobs of a rule."""
        words = ("squeue", "-h", "-t", state, "-o", "%i|%k|%N|%Z")
        rows = [line.split("|") for line in self.cluster.run(*words, check=False).splitlines()]
        pattern = re.compile(rf"rule_{rule}(_wildcards|$)" if rule else "rule_")
        return [(r[0], r[2]) for r in rows if pattern.match(r[1]) and Path(r[3]) == self.folder]

    def warn(self, job: str) -> None:
        """Send a job what Slurm sends before its time is over, and whom Slurm sends it to."""
        to = ["--batch"] if self.profile == "slurm-generic" else []
        self.cluster.run("scancel", "--signal=USR1", *to, job, check=False)

    def processes(self) -> list[psutil.Process]:
        """Everything that works for this study, wherever."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                if process.cwd() == str(self.folder) and process.name() not in ("slurmd", "slurmstepd"):
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def workers(self) -> list[psutil.Process]:
        """The processes that train."""
        return [p for p in self.processes() if "voxnas.training.worker" in command_line(p)]

    def training_jobs(self) -> set[str]:
        """Ids of the jobs in which they run."""
        found = set()
        for process in self.workers():
            with contextlib.suppress(psutil.Error):
                found.add(process.environ().get("SLURM_JOB_ID", ""))
        return found

    def results(self) -> list[Path]:
        """Results of search steps that are there."""
        return sorted(self.study.glob("search/*/steps/*/result.json"))

    def leftovers(self) -> list[str]:
        """What should not be there when the study is over: jobs, processes, leases, locks."""
        rest = [f"job {number}" for number, _ in self.jobs(state="PD,R,CG")]
        rest += [f"process {p.pid}: {' '.join(command_line(p))[:200]}" for p in self.processes()]
        rest += [str(p) for p in self.study.glob("store/*/lease.json")]
        return rest + [str(p) for p in (self.folder / ".snakemake" / "locks").glob("*.lock")]

    def doubles(self) -> list[str]:
        """Jobs that ran while another one of the same purpose ran, by what Slurm recorded."""
        path = self.cluster.base / "log" / "jobcomp.txt"
        times: dict[str, list[tuple[str, str, str]]] = {}
        for line in path.read_text().splitlines() if path.exists() else []:
            row = dict(word.partition("=")[::2] for word in line.split())
            if row["WorkDir"] == str(self.folder):
                accounted = self.cluster.run(
                    "squeue", "-h", "--states=all", "-j", row["JobId"], "-o", "%k", check=False
                )
                times.setdefault(accounted.strip(), []).append((row["StartTime"], row["EndTime"], row["JobId"]))
        found = []
        for purpose, spans in times.items():
            if "_wildcards" in purpose:
                ordered = sorted(spans)
                found += [f"{purpose}: {a} {b}" for a, b in pairwise(ordered) if b[0] < a[1]]
        return found


def command_line(process: psutil.Process) -> list[str]:
    """Words of a process; none of one that has ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def install_profiles(environment: dict[str, str]) -> None:
    """``make profiles``, and shorter times between questions in the copies."""
    command = [PROJECT / "workflow" / "profiles" / "install.sh"]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    for file in Path(environment["XDG_CONFIG_HOME"]).glob("snakemake/*/config.v9+.yaml"):
        text = file.read_text()
        for slow, fast in FASTER.items():
            text = text.replace(slow, fast)
        file.write_text(text)


def final_tables(study: Path) -> dict[str, str]:
    """Every record and table that must not depend on the course of a run."""
    found = {
        str(p.relative_to(study)): p.read_text()
        for p in sorted(Path(folder, name) for folder, _, names in os.walk(study, followlinks=True) for name in names)
        if p.name in RECORDS and "store" not in p.parts and "model" not in p.parts and "figures" not in p.parts
    }
    table = pd.read_csv(study / "leaderboard.tsv", sep="\t", dtype=str, keep_default_na=False)
    found["leaderboard.tsv"] = table.drop(columns=MEASURED).to_csv(sep="\t", index=False)
    return found


def differences(study: Path, wanted: dict[str, str]) -> list[str]:
    """Files of a finished study that are not as they should be; all are there."""
    if not (study / "report.html").exists() or not (study / "model").is_dir():
        return ["the study did not end"]
    found = final_tables(study)
    return sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))


def copy_study(source: Path, target: Path) -> None:
    """Copy a clone's results and what Snakemake knows of them, with their times."""
    target.mkdir(exist_ok=True)
    for name in ("results", ".snakemake"):
        shutil.copytree(source / name, target / name, symlinks=True)


def wait_for(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Wait until something is so; returns it."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.1)
    return found


def kill(process: psutil.Process | subprocess.Popen[bytes]) -> None:
    """SIGKILL, to one that may have ended."""
    with contextlib.suppress(psutil.Error, ProcessLookupError):
        process.send_signal(signal.SIGKILL)
