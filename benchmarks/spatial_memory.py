"""Peak memory of the spatial steps on a short and on a long run.

    python benchmarks/spatial_memory.py --output FOLDER

A run of the phantom is repeated to the requested number of volumes and passes through all steps except ``anatomical``
in a separate process. ``peak_mib`` is the maximum resident memory of the process, ``ratio`` its ratio to the first
row.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from voxnas.data.fmri.volumes import save_run
from voxnas.data.phantom import SITES, Person, load_template, make_head
from voxnas.data.phantom_bold import make_run
from voxnas.io.tables import write_table

SPACING, SECONDS, PERIOD = 12.0, 2.0, 12
STEPS = ("steady", "slice_timing", "motion", "bias", "mask", "template")


def write_long_run(path: Path, frames: int) -> list[float]:
    """Write a run, volume by volume; return the times of its slices in s."""
    person = Person("sub-01", 40.0, "control", SITES[1], 0.3)
    head = make_head(load_template(SPACING), person, SPACING / 2, np.random.default_rng(0))
    run = make_run(head, person, SPACING, np.random.default_rng(1), PERIOD)
    volumes = (run.image[..., frame % PERIOD] for frame in range(frames))
    save_run(path, volumes, (*run.image.shape[:3], frames), run.affine, SECONDS)
    return [float(t) for t in run.slice_times]


def process(path: Path, times: list[float], result: multiprocessing.SimpleQueue) -> None:
    """Apply the steps to the run; return the peak memory in MiB."""
    from voxnas.data.fmri.registration import template_grid
    from voxnas.data.fmri.spatial import process_run

    process_run(path, {"SliceTiming": times}, SECONDS, STEPS, None, template_grid(SPACING), path.parent)
    result.put(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--output", type=Path, help="folder for spatial_memory.tsv")
    parser.add_argument("--frames", type=int, nargs="+", default=[120, 1200], help="number of volumes of each run")
    arguments = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    rows: list[dict[str, float]] = []
    for frames in arguments.frames:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "sub-01_task-x_bold.nii.gz"
            times = write_long_run(path, frames)
            result = context.SimpleQueue()
            child = context.Process(target=process, args=(path, times, result))
            child.start()
            child.join()
            if child.exitcode:
                raise SystemExit(f"the run of {frames} volumes failed")
            rows.append({"frames": frames, "peak_mib": round(result.get(), 1)})
    table = pd.DataFrame(rows)
    table["ratio"] = (table["peak_mib"] / table["peak_mib"][0]).round(3)
    print(table.to_string(index=False))
    if arguments.output:
        write_table(arguments.output / "spatial_memory.tsv", table)


if __name__ == "__main__":
    main()
