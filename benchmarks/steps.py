"""Samples per CPU second of the winner of the hippocampus study, compared with another checkout of the project.

Each checkout runs in a process of its own with the study's data. The processes take turns, a few training steps and the
validation of a few scans each, so that a change of the machine's speed affects both. The ratio of a turn is the CPU
time of the other checkout divided by that of this checkout; the table has its median and quartiles over the turns.

    git worktree add ../before 0dc254b
    python benchmarks/steps.py ../before results/hippocampus --output steps.tsv

The study is preprocessed by this checkout (``snakemake --until preprocess``); the other checkout reads the part of the
plan that it knows. Precision and threads are those of the study's training settings.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

PROJECT = Path(__file__).resolve().parents[1]
PARTS = ("training", "validation")


def serve(checkout: Path, study: Path, samples: int, scans: int) -> None:
    """Take one turn of a checkout for each line of the input, and print its CPU seconds per sample and per scan."""
    sys.path.insert(0, str(checkout / "benchmarks"))
    import torch
    from anytime import WINNER, jobs

    from voxnas.core.paths import StudyPaths
    from voxnas.core.plan import VolumePlan
    from voxnas.io.records import write_json
    from voxnas.training import worker
    from voxnas.training.distributed.single import SingleBackend
    from voxnas.training.loop import Outcome, TrainingContext, fit
    from voxnas.training.run_options import RunOptions
    from voxnas.training.store import Entry

    def turns(network: Any, job: Any, training: Any, step: Any, sampler: Any, validate: Any, *rest: Any) -> Outcome:
        validate.scans = validate.scans[:scans]
        for turn, _ in enumerate(sys.stdin):
            with tempfile.TemporaryDirectory() as folder:
                context = TrainingContext(Path(folder))
                begun = time.process_time()
                fit(network, job, training, step, sampler, None, SingleBackend(), context)
                trained = time.process_time()
                validate(network, SingleBackend())
                ended = time.process_time()
            shape = list(sampler.batch([turn])[0].shape[2:])
            print(json.dumps([(trained - begun) / samples, (ended - trained) / scans, shape]), flush=True)
        return Outcome("FAILED")

    setattr(worker, "fit", turns)  # noqa: B010
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in study.resolve().iterdir():
            if path.name not in ("preprocess", "store"):
                (folder / path.name).symlink_to(path)
        (folder / "preprocess").mkdir()
        for path in (study.resolve() / "preprocess").iterdir():
            if path.name != "plan.json":
                (folder / "preprocess" / path.name).symlink_to(path)
        plan = json.loads((study / "preprocess" / "plan.json").read_text())
        known = {key: value for key, value in plan.items() if key in VolumePlan.model_fields}
        (folder / "preprocess" / "plan.json").write_text(json.dumps(known))
        entry = Entry(folder / "entry")
        entry.folder.mkdir()
        paths = StudyPaths(folder)
        write_json(entry.job, jobs(paths, WINNER, [samples], 0)[0])
        torch.set_num_threads(1)
        worker.train_entry(paths, entry, RunOptions(), SingleBackend())


def start(checkout: Path, arguments: argparse.Namespace) -> subprocess.Popen[str]:
    """Start the process of a checkout."""
    numbers = ["--samples", str(arguments.samples), "--scans", str(arguments.scans)]
    command = [sys.executable, __file__, str(checkout), str(arguments.study), *numbers, "--serve"]
    environment = {**os.environ, "PYTHONPATH": str(checkout.resolve() / "src"), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )


def take_turn(process: subprocess.Popen[str]) -> list[Any]:
    """CPU seconds per training sample and per validated scan, and the patch, of a turn of a process."""
    assert process.stdin is not None and process.stdout is not None
    process.stdin.write("turn\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


def main() -> None:
    """Measure, print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path, help="the other checkout")
    parser.add_argument("study", type=Path, nargs="?", default=Path("results/hippocampus"), help="folder of the study")
    parser.add_argument("--samples", type=int, default=8, help="training samples per turn")
    parser.add_argument("--scans", type=int, default=8, help="validated scans per turn")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each checkout")
    parser.add_argument("--output", type=Path, help="TSV file for the table")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.before, arguments.study, arguments.samples, arguments.scans)
        return
    from voxnas.nn.precision import precision_name

    processes = [start(checkout, arguments) for checkout in (arguments.before, PROJECT)]
    for process in processes:
        take_turn(process)
    turns = [[take_turn(process) for process in processes] for _ in range(arguments.rounds)]
    for process in processes:
        process.communicate()
    rows = []
    for i, part in enumerate(PARTS):
        before, after = (np.array([turn[side][i] for turn in turns]) for side in (0, 1))
        low, ratio, high = np.quantile(before / after, (0.25, 0.5, 0.75))
        rows.append(
            {
                "part": part,
                "before_ms": 1e3 * np.median(before),
                "after_ms": 1e3 * np.median(after),
                "ratio": ratio,
                "ratio_q1": low,
                "ratio_q3": high,
                "patch_before": "x".join(map(str, turns[0][0][2])),
                "patch_after": "x".join(map(str, turns[0][1][2])),
                "precision_after": precision_name("auto"),
                "rounds": arguments.rounds,
            }
        )
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="%.4g"))
    if arguments.output:
        table.to_csv(arguments.output, sep="\t", index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
