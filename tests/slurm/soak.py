"""Kill things at random under the tiny study until so many were killed, and see whether it cares.

    python tests/slurm/soak.py --kills 50 --output results/published/faults

As root, on the Slurm of cluster.py. Several studies run through a profile at once; at random moments something of
it is killed. Where Snakemake itself is killed, or gives up, `voxnas resume` is called and nothing else is done. Each
study has to end with the tables of an undisturbed one, and to leave nothing behind. Writes kills.tsv and studies.tsv.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
from cluster import NODES, Cluster, missing
from studies import Place, command_line, copy_study, differences, final_tables, kill, wait_for

RESUMES = 30  # of one study, before it counts as stuck
ONE_AT_A_TIME = threading.Lock()  # nodes and the controller are everybody's


def _one(place: Place, chance: random.Random, *words: str) -> str:
    """Kill one process of the study with these words in its command line; say which."""
    found = [p for p in place.processes() if set(words) <= set(command_line(p))]
    if not found:
        return ""
    process = chance.choice(found)
    kill(process)
    return f"process {process.pid}"


def _job(place: Place, chance: random.Random, *command: str) -> str:
    jobs = place.jobs()
    if not jobs:
        return ""
    job, node = chance.choice(jobs)
    place.cluster.run(*command, job, check=False)
    return f"job {job} on {node}"


def _warn(place: Place, chance: random.Random) -> str:
    jobs = place.jobs()
    if not jobs:
        return ""
    job, node = chance.choice(jobs)
    place.warn(job)
    return f"job {job} on {node}"


def _node(place: Place, chance: random.Random) -> str:
    busy = sorted({node for _, node in place.jobs()} & set(NODES))
    if not busy:
        return ""
    node = chance.choice(busy)
    with ONE_AT_A_TIME:
        place.cluster.crash_node(node)
        time.sleep(5)
        place.cluster.start_node(node)
    return node


def _controller(place: Place, chance: random.Random) -> str:
    with ONE_AT_A_TIME:
        place.cluster.stop_controller()
        time.sleep(15)
        place.cluster.start_controller()
    return "slurmctld for 15 s"


FAULTS: dict[str, Callable[[Place, random.Random], str]] = {
    "a training process": lambda p, c: _one(p, c, "voxnas.training.worker"),
    "the parent of a training": lambda p, c: _one(p, c, "voxnas", "--launcher"),
    "a job's Snakemake": lambda p, c: _one(p, c, "--mode"),
    "a job, by scancel": lambda p, c: _job(p, c, "scancel"),
    "a job, with SIGUSR1": _warn,
    "a job, put back into the queue": lambda p, c: _job(p, c, "scontrol", "requeue"),
    "a node": _node,
    "the controller": _controller,
}


def disturb(place: Place, number: int, wanted: int, every: float, chance: random.Random) -> tuple[list[dict], int]:
    """Run one study and kill until enough was killed; what was hit when, and how often it was resumed."""
    begun, kills, resumes = time.monotonic(), [], 0
    process = place.start()
    while True:
        try:
            status = process.wait(timeout=chance.expovariate(1 / every) if len(kills) < wanted else 1800)
        except subprocess.TimeoutExpired:
            if len(kills) >= wanted:
                kill(process)
                raise AssertionError(f"study {number} hangs") from None
            what = chance.choice([*FAULTS, "Snakemake"])
            second = time.monotonic() - begun
            if what == "Snakemake":
                kill(process)
                hit = f"process {process.pid}"
            else:
                hit = FAULTS[what](place, chance)
            if hit:
                kills.append({"study": number, "second": round(second, 1), "killed": what, "which": hit})
                print(*kills[-1].values(), sep="\t", flush=True)
            continue
        if status == 0:
            return kills, resumes
        resumes += 1
        if resumes > RESUMES:
            raise AssertionError(f"study {number} does not end:\n{place.log.read_text()[-4000:]}")
        process = place.resume()


def soak(place: Place, number: int, wanted: int, every: float, seed: int) -> tuple[list[dict], dict]:
    """Disturb one study to its end; its kills, and how it ended."""
    copy_study(place.folder.with_name("begun"), place.folder)
    begun = time.monotonic()
    kills, resumes = disturb(place, number, wanted, every, random.Random(f"{seed}-{number}"))
    wait_for(lambda: not place.jobs(state="PD,R,CG"), 120, "Slurm has put the last job away")
    row = {"study": number, "profile": place.profile, "kills": len(kills), "resumes": resumes}
    row |= {"seconds": round(time.monotonic() - begun)}
    row |= {"left_behind": "; ".join(place.leftovers()) or "none"}
    row |= {"run_twice": "; ".join(place.doubles()) or "none"}
    print(*row.values(), sep="\t", flush=True)
    return kills, row


def main() -> int:
    """Run the soak."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=51, help="how many in all")
    parser.add_argument("--studies", type=int, default=3, help="among how many studies, which run at once")
    parser.add_argument("--every", type=float, default=10.0, help="mean seconds between two in one study")
    parser.add_argument("--profile", default="slurm-generic")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, help="where to work; what an earlier soak prepared there is kept")
    parser.add_argument("--output", type=Path, required=True, help="folder for the tables")
    arguments = parser.parse_args()
    if missing():
        parser.error(missing())
    base = Path(tempfile.mkdtemp(prefix="voxnas-soak-"))
    folder = (arguments.folder or base / "work").resolve()
    cluster = Cluster(base, port=27817)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    try:
        cluster.start()
        whole, begun = Place(cluster, folder / "undisturbed", arguments.profile), folder / "begun"
        if not begun.exists():
            whole.run("--until", "preprocess", seconds=1800)
            copy_study(whole.folder, begun)
        each = -(-arguments.kills // arguments.studies)
        with ThreadPoolExecutor() as pool:
            futures = []
            for number in range(1, arguments.studies + 1):
                place = Place(cluster, folder / f"study-{number}", arguments.profile)
                futures.append(pool.submit(soak, place, number, each, arguments.every, arguments.seed))
            ended = [future.result() for future in futures]
        whole.run(seconds=1800)
        wanted = final_tables(whole.study)
        rows = []
        for _, row in ended:
            changed = differences(folder / f"study-{row['study']}" / "results" / "tiny", wanted)
            rows.append({**row, "tables": len(wanted), "tables_that_differ": " ".join(changed) or "none"})
        kills = [hit for hits, _ in ended for hit in hits]
        arguments.output.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(kills).to_csv(arguments.output / "kills.tsv", sep="\t", index=False)
        pd.DataFrame(rows).to_csv(arguments.output / "studies.tsv", sep="\t", index=False)
    finally:
        cluster.stop()
        shutil.rmtree(base, ignore_errors=True)
    good = all(row["tables_that_differ"] == row["left_behind"] == row["run_twice"] == "none" for row in rows)
    verdict = "same tables, nothing left behind" if good else "NOT as wanted"
    print(f"{len(kills)} kills in {len(rows)} studies: {verdict}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
