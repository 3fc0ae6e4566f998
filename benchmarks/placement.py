"""Placement by predicted time, compared with random placement, on Slurm with a throttled node.

    python benchmarks/placement.py --study results/tiny --scratch SCRATCH --output results/published/placement

Requires a preprocessed study, and a Slurm whose partition `normal` has two nodes with one processor each (`normal-a`
and `normal-b` one node each), `slow` a third node, and `main` all three. The slow node is throttled in two ways, of
which one is effective on an idle machine and the other on a busy machine: its processes are stopped and continued ten
times per second, so that they run for `--share` of the time, and their niceness is raised by `--nice` (3 halves the
weight). Both kinds of nodes are measured by `voxnas device` under Slurm while all three nodes are busy; existing
measurements in the `devices` of the study are kept. The same trainings then run in each mode:

- random: each training is assigned to one of the three nodes, drawn uniformly;
- placed: to the kind of node on which it is predicted to end first (:mod:`voxnas.complexity.placement`), longest
  trainings first;
- queue: to any node; Slurm assigns the next training of the queue, in random order, to the first free node.

The makespan is the time between the submission and the end of the last training.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from voxnas.arch.search_space import SearchSpace
from voxnas.arch.views import input_size
from voxnas.complexity.calibration import predict_train_seconds
from voxnas.complexity.placement import earliest_end
from voxnas.core.architecture import network_key
from voxnas.core.calibration import DeviceCalibration
from voxnas.core.paths import StudyPaths
from voxnas.core.seeds import derive_seed
from voxnas.core.trial import Network
from voxnas.io.records import read_json, read_plan, read_record, write_json
from voxnas.io.tables import write_table
from voxnas.operate.placement import predicted, read_devices

SLOTS = {"normal": 2, "slow": 1}
PERIOD = 0.1


def throttled(share: float, nice: int, record: Path, command: list[str]) -> int:
    """Run a command for a share of the time, record where and when it ran, and return its status."""
    begun = time.time()
    os.nice(nice)
    child = psutil.Popen(command)
    family: list[psutil.Process] = []
    beat = 0
    while child.poll() is None:
        if share >= 1.0:
            time.sleep(PERIOD)
            continue
        if beat % 5 == 0:
            family = [child, *child.children(recursive=True)]
        beat += 1
        for stop, seconds in ((signal.SIGSTOP, PERIOD * (1 - share)), (signal.SIGCONT, PERIOD * share)):
            for process in family:
                try:
                    process.send_signal(stop)
                except psutil.NoSuchProcess:
                    continue
            time.sleep(seconds)
    write_json(record, {"node": os.uname().nodename, "begun": begun, "ended": time.time(), "status": child.returncode})
    return child.returncode


def submit(arguments: argparse.Namespace, partition: str, record: Path, command: list[str]) -> str:
    """Submit a command, which is throttled if it runs on the slow node, and return the id of the job."""
    program = Path(__file__).resolve()
    throttle = f"'{arguments.share} {arguments.nice}'"
    shares = f'case "$SLURMD_NODENAME" in {arguments.slow}) S={throttle};; *) S="1 0";; esac'
    line = f"exec {sys.executable} {program} --run $S {record} -- {' '.join(command)}"
    script = f"#!/bin/bash\n{shares}\n{line}\n"
    done = subprocess.run(
        ["sbatch", "--parsable", f"--partition={partition}", "--mem=2500", f"--output={record}.log"],
        input=script, text=True, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def wait(records: list[Path]) -> list[dict]:
    """Wait for jobs by their output files."""
    while not all(record.exists() for record in records):
        time.sleep(1.0)
    found = [read_json(record) for record in records]
    bad = [str(r) for r, f in zip(records, found, strict=True) if f["status"]]
    if bad:
        raise SystemExit(f"failed: {bad[0]}, see {bad[0]}.log")
    return found


def measure(arguments: argparse.Namespace, study: Path) -> None:
    """Measure both kinds of nodes while all three nodes are busy."""
    python = [sys.executable, "-m", "voxnas"]
    space = next((study / "spec").glob("search-*.json"))
    files = ["--study", str(study), "--spec", str(study / "spec/calibrate.json"), "--search", str(space)]
    files += ["--plan", str(StudyPaths(study).plan)]
    folder = study / "devices"
    folder.mkdir(exist_ok=True)
    slow = folder / "slow.json.record"
    records = []
    for name, partition in {"normal": "normal-a", "other": "normal-b", "slow": "slow"}.items():
        records.append(folder / f"{name}.json.record")
        command = [*python, "device", *files, "--output", str(folder / f"{name}.json")]
        submit(arguments, partition, records[-1], command)
        if partition != "slow":
            # The other nodes stay busy until the slow node is measured.
            again = " ".join([*command[:-1], str(folder / f"{name}.again")])
            loop = f"while [ ! -e {slow} ]; do {again}; done"
            submit(arguments, partition, folder / f"{name}.again.record", ["bash", "-c", shlex.quote(loop)])
    wait([*records, folder / "normal.again.record", folder / "other.again.record"])


def trainings(arguments: argparse.Namespace, study: Path) -> list[Network]:
    """Random networks of the search space, each with a processor time drawn from a tenfold range."""
    paths = StudyPaths(study)
    spec = read_json(next((study / "spec").glob("search-*.json")))
    plan, device = read_plan(paths.plan), read_record(paths.device("normal"), DeviceCalibration)
    space, rng = SearchSpace.from_dict(spec["space"]), np.random.default_rng(derive_seed(0, "trainings"))
    networks = []
    for number in range(arguments.trainings):
        architecture, recipe = space.decode(space.sample(rng), plan)
        seconds = arguments.shortest * 10 ** rng.random()
        rate = predict_train_seconds(device, architecture, input_size(architecture, plan))
        samples = max(2, 2 * round(seconds / rate / 2))
        key = network_key(architecture, recipe)
        networks.append(
            Network(
                key=key, name=f"training-{number}", source="random", architecture=architecture, recipe=recipe,
                samples=samples,
            )
        )  # fmt: skip
    return networks


def run(arguments: argparse.Namespace, study: Path, networks: list[Network], mode: str, seed: int) -> pd.DataFrame:
    """Run all trainings in one mode, in a copy of the study with an empty store."""
    copy = arguments.scratch / f"{mode}-{seed}"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(study, copy, ignore=shutil.ignore_patterns("store", "search", "networks"))
    plan, devices = read_plan(StudyPaths(study).plan), read_devices(StudyPaths(study), SLOTS)
    times = [predicted(devices, plan, n.architecture, n.samples) for n in networks]
    rng = np.random.default_rng(derive_seed(seed, mode))
    order = [int(i) for i in rng.permutation(len(networks))]
    nodes = ["normal-a", "normal-b", "slow"]
    partitions = {i: "main" for i in order}
    if mode == "placed":
        order = sorted(order, key=lambda i: -times[i]["normal"])
        partitions = dict(zip(order, earliest_end([times[i] for i in order], SLOTS), strict=True))
    elif mode == "random":
        partitions = {i: nodes[int(rng.integers(3))] for i in order}
    records = {}
    begun = time.time()
    for i in order:
        network, kind = networks[i], partitions[i].partition("-")[0]
        file = copy / "networks" / str(i) / "network.json"
        write_json(file, network)
        records[i] = file.with_name("record.json")
        command = [sys.executable, "-m", "voxnas", "train", "--study", str(copy), "--network", str(file)]
        command += ["--output", str(file.with_name("result.json")), "--kind", kind]
        submit(arguments, partitions[i], records[i], command)
    found = wait(list(records.values()))
    rows = []
    for i, record in zip(records, found, strict=True):
        kind = "slow" if record["node"] == arguments.slow else "normal"
        result = read_json(records[i].with_name("result.json"))
        rows.append(
            {
                "mode": mode, "seed": seed, "training": i, "node": record["node"],
                "predicted_seconds": times[i][kind], "begun": record["begun"] - begun, "ended": record["ended"] - begun,
                "score": result["score"],
            }
        )  # fmt: skip
    return pd.DataFrame(rows).sort_values("begun").round(3)


def main() -> None:
    """Measure, run and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--study", type=Path, required=True, help="folder of a preprocessed study")
    parser.add_argument("--output", type=Path, required=True, help="folder for the tables")
    parser.add_argument("--scratch", type=Path, required=True, help="folder for the copies of the study")
    parser.add_argument("--modes", nargs="+", default=["random", "placed", "queue"])
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trainings", type=int, default=15)
    parser.add_argument("--shortest", type=float, default=2.0, help="processor seconds of the shortest training")
    parser.add_argument("--slow", default="node3", help="the throttled node")
    parser.add_argument("--nice", type=int, default=3, help="increase of the niceness on the throttled node")
    parser.add_argument("--share", type=float, default=0.5, help="share of the time that the throttled node runs")
    arguments = parser.parse_args()
    study, arguments.scratch = arguments.study.resolve(), arguments.scratch.resolve()
    if not all(StudyPaths(study).device(kind).exists() for kind in SLOTS):
        measure(arguments, study)
    devices = read_devices(StudyPaths(study), SLOTS)
    for kind, device in devices.items():
        print(f"{kind}: starts in {device.start_seconds} s, wall factor {device.wall_factor}", flush=True)
    networks = trainings(arguments, study)
    tables, spans = [], []
    for seed in range(arguments.seeds):
        for mode in arguments.modes:
            tables.append(run(arguments, study, networks, mode, seed))
            spans.append({"mode": mode, "seed": seed, "makespan": tables[-1].ended.max()})
            slow = tables[-1].node.eq(arguments.slow).sum()
            print(json.dumps(spans[-1]), f"{slow} of {len(networks)} on the slow node", flush=True)
            write_table(arguments.output / "trainings.tsv", pd.concat(tables))
            write_table(arguments.output / "makespans.tsv", pd.DataFrame(spans))
    means = pd.DataFrame(spans).groupby("mode").makespan.mean()
    print(means.to_string(), f"\nplaced / random: {means['placed'] / means['random']:.2f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--run"]:
        sys.exit(throttled(float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]), sys.argv[6:]))
    main()
