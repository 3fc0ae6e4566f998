"""Time of indexing a large BIDS data set by shards, and of the dry run of its study.

    python benchmarks/indexing.py [--participants 50 5000] [--shards 8] [--jobs 2] [--pybids] [--output FILE.tsv]

The data sets are generated in a temporary folder. Each participant has a T1w image and two runs of a task with
sidecar and events. In `voxels` the images are complete, with 8x8x8 voxels and 4 volumes; in `header-only` they end
after their header, as in the examples of the BIDS standard, so that each is excluded with its reason. Shards run as
separate processes, as the jobs of the workflow do, `jobs` at a time. With --pybids, the BIDSLayout of pybids lists the
same folder. The table holds wall times and processor times.
"""

from __future__ import annotations

import argparse
import gzip
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import yaml

from voxnas.core.seeds import derive_seed
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.io.records import write_json, write_text
from voxnas.io.tables import read_table, write_table

PROJECT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
ENVIRONMENT = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT / "src")}
HEADER = 352
EVENTS = "onset\tduration\ttrial_type\n0\t2\tface\n4\t2\thouse\n"


def generate(root: Path, participants: int, whole: bool) -> None:
    """Write a BIDS data set with `participants` participants."""
    write_json(root / "dataset_description.json", {"Name": "generated", "BIDSVersion": "1.10.0"})
    write_json(root / "task-faces_bold.json", {"RepetitionTime": 2.0, "TaskName": "faces"})
    rows = "".join(f"sub-{i:05d}\t{'ab'[i % 2]}\tsite{i % 7}\n" for i in range(participants))
    write_text(root / "participants.tsv", "participant_id\tdx\tsite\n" + rows)
    for i in range(participants):
        rng = np.random.default_rng(derive_seed(0, "indexing", i))
        person = root / f"sub-{i:05d}"
        for folder in ("anat", "func"):
            (person / folder).mkdir(parents=True)
        _image(person / f"anat/sub-{i:05d}_T1w.nii.gz", rng, (8, 8, 8), whole)
        for run in (1, 2):
            stem = person / f"func/sub-{i:05d}_task-faces_run-{run}_"
            _image(Path(f"{stem}bold.nii.gz"), rng, (8, 8, 8, 4), whole)
            Path(f"{stem}bold.json").write_text('{"EchoTime": 0.03}')
            Path(f"{stem}events.tsv").write_text(EVENTS)


def _image(path: Path, rng: np.random.Generator, shape: tuple[int, ...], whole: bool) -> None:
    data = nib.Nifti1Image(rng.integers(0, 999, shape).astype(np.int16), np.diag([3.0, 3, 3, 1])).to_bytes()
    path.write_bytes(gzip.compress(data if whole else data[:HEADER], 1, mtime=0))


def index(root: Path, folder: Path, shards: int, jobs: int) -> None:
    """Index the runs of `root` by shards, and merge the shards."""
    raw = {
        "study": "large",
        "task": "classification",
        "data_root": str(root),
        "data": {"suffix": "bold", "target": "trial_type"},
        "clips": {"unit": "volume", "delay": 5.0},
    }
    write_json(folder / "spec.json", stage_spec(parse_settings(raw), "index"))
    common = [sys.executable, "-m", "voxnas", "index", "--spec", str(folder / "spec.json"), "--data", str(root)]
    parts = [str(folder / "shards" / str(i)) for i in range(shards)]

    def run(arguments: list[str]) -> None:
        subprocess.run([*common, *arguments], env=ENVIRONMENT, check=False, capture_output=True)

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(lambda i: run(["--output", parts[i], "--shard", str(i), "--shards", str(shards)]), range(shards)))
    run(["--output", str(folder / "index"), "--parts", *parts])


def counted(folder: Path, shards: int) -> tuple[int, int]:
    """Scans and exclusions in the shards of an index; a data set without usable scans has no merged index."""
    tables = [
        [read_table(folder / "shards" / str(i) / f"{name}.tsv", {"scan": str}) for i in range(shards)]
        for name in ("scans", "excluded")
    ]
    return sum(map(len, tables[0])), sum(map(len, tables[1]))


def dry_run(root: Path, folder: Path, shards: int) -> None:
    """Plan a study of the data set."""
    study = {
        "study": "large",
        "task": "classification",
        "data": {"suffix": "bold", "target": "trial_type", "folder": "."},
        "clips": {"unit": "volume", "delay": 5.0},
        "preprocess": {"shards": shards},
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(study))
    command = ["snakemake", "--snakefile", str(PROJECT / "Snakefile"), "--directory", str(folder)]
    command += ["--configfile", str(folder / "study.yaml"), "--config", f"data_root={root}", "--dry-run"]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stdout[-2000:] + done.stderr[-2000:])


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Wall time and processor time, in s, of work in child processes; other processes may use the processor too."""
    before, begun = os.times(), time.perf_counter()
    work()
    after, wall = os.times(), time.perf_counter() - begun
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


def pybids(root: Path) -> None:
    """List the data set by pybids, in a separate process."""
    code = f"from bids import BIDSLayout; assert BIDSLayout({str(root)!r}, validate=False).get(suffix='bold')"
    subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT, check=True, capture_output=True)


def measure(participants: int, kind: str, shards: int, jobs: int, with_pybids: bool) -> dict[str, object]:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as scratch:
        root, folder = Path(scratch) / "data", Path(scratch) / "study"
        folder.mkdir()
        generate(root, participants, kind == "voxels")
        row: dict[str, object] = {"participants": participants, "images": kind, "shards": shards, "jobs": jobs}
        row["index_s"], row["index_cpu_s"] = timed(lambda: index(root, folder, shards, jobs))
        row["scans"], row["excluded"] = counted(folder, shards)
        row["dry_run_s"], row["dry_run_cpu_s"] = timed(lambda: dry_run(root, folder, shards))
        if with_pybids:
            row["pybids_s"], row["pybids_cpu_s"] = timed(lambda: pybids(root))
        return row


def main() -> None:
    """Measure, print, and write the table on request."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--participants", type=int, nargs="+", default=[50, 5000])
    parser.add_argument("--shards", type=int, default=8)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--pybids", action="store_true")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    rows = []
    for participants in arguments.participants:
        for kind in ("voxels", "header-only"):
            also = arguments.pybids and kind == "voxels"
            rows.append(measure(participants, kind, arguments.shards, arguments.jobs, also))
            print(rows[-1], flush=True)
    if arguments.output:
        write_table(arguments.output, pd.DataFrame(rows).round(2))


if __name__ == "__main__":
    main()
