"""Peak memory of preprocessing and of training as a function of the length of a run and of the number of runs.

    python benchmarks/bold_memory.py --output FOLDER

Runs of noise in an ellipsoid with 24 motion regressors are generated as ``.nii.gz``, volume by volume. Each set is
preprocessed in a separate process (smoothing, cleaning with a band-pass, clips, maps, series and correlations of an
atlas of 20 regions). ``peak_mib`` is the maximum resident memory of the process; ``over_start_mib`` is the increase
after the libraries were loaded. The rows ``train`` are trainings of the hand-made network on clips (``cnn-gru``) with
their validation, each in a separate process on the preprocessed runs; half of the runs are used for validation. The
rows ``whole`` are :func:`nilearn.image.clean_img` on one whole image, without the filter, for comparison.
"""

from __future__ import annotations

import argparse
import gzip
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from voxnas.core.paths import StudyPaths
from voxnas.core.settings import LimitSettings, parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.splits import Splits
from voxnas.data.fmri.pose import MOTION
from voxnas.io.records import read_plan, write_json
from voxnas.io.tables import read_table, write_table

SPACING, INTERVAL, REGIONS = 3.0, 2.0, 20
CLIPS = 16  # samples of a training
TRAIN_RUNS = 8  # minimum; half of them fill the validation batches
Size = tuple[int, int, int]


def head(size: Size) -> np.ndarray:
    """An ellipsoid that fills most of the box."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in size], indexing="ij")
    return sum(axis**2 for axis in axes) < 0.9


def make_run(folder: Path, name: str, size: Size, frames: int) -> dict[str, object]:
    """Write a run, its mask and its confounds, with one volume in memory at a time; return its row of scans.tsv."""
    rng, brain = np.random.default_rng(len(name) + frames), head(size)
    image = nib.Nifti1Image(np.zeros((*size, frames), np.int16), np.diag([SPACING] * 3 + [1.0]))
    image.header.set_zooms((SPACING,) * 3 + (INTERVAL,))
    bold = folder / f"{name}_bold.nii.gz"
    with gzip.open(bold, "wb", compresslevel=1) as file:
        file.write(image.header.binaryblock + b"\0" * 4)
        for _ in range(frames):
            file.write((brain * rng.normal(1000, 20, size)).astype(np.int16).tobytes(order="F"))
    nib.Nifti1Image(brain.astype(np.uint8), image.affine).to_filename(folder / f"{name}_mask.nii.gz")
    motion = np.cumsum(rng.normal(0, 0.01, (frames, 6)), axis=0) * [1, 1, 1, 0.02, 0.02, 0.02]
    write_table(folder / f"{name}_confounds.tsv", pd.DataFrame(motion, columns=list(MOTION)))
    return {
        "scan": name, "participant": name, "image": str(bold), "frames": frames, "target": "a",
        "repetition_time": INTERVAL, "events": None, "confounds": str(folder / f"{name}_confounds.tsv"),
        "mask": str(folder / f"{name}_mask.nii.gz"), "space": None, "preprocessed": "no",
    }  # fmt: skip


def make_atlas(folder: Path, size: Size) -> Path:
    """Write an atlas whose regions are slabs of the box."""
    labels = np.broadcast_to(1 + np.arange(size[1])[None, :, None] * REGIONS // size[1], size)
    nib.Nifti1Image(labels.astype(np.int16), np.diag([SPACING] * 3 + [1.0])).to_filename(folder / "atlas.nii.gz")
    return folder / "atlas.nii.gz"


def study(folder: Path) -> StudyPaths:
    """Paths of the study in a folder of runs."""
    return StudyPaths(folder / "study")


def preprocess(folder: Path) -> None:
    """Write the plan and preprocess all runs of the folder as one shard."""
    from voxnas.data.fmri.plan import make_timed_plan
    from voxnas.data.fmri.prepare_runs import write_timed_shard

    views = {"views": ["clips", "maps", "series", "connectivity"], "atlas": str(folder / "atlas.nii.gz"), "frames": 16}
    bold = {"confounds": ["motion"], "smoothing_mm": 5.0, "high_pass": 0.01, "low_pass": 0.1, "scrub_mm": 1.0}
    raw = {"task": "classification", "data_root": "x", "data": {"suffix": "bold", "target": "t"}}
    settings = parse_settings({**raw, "bold": bold, "clips": views})
    scans = read_table(folder / "scans.tsv", {"scan": str, "frames": int})
    dataset = {"layout": "bids", "classes": ["a", "b"], "target": "t"}
    plan = make_timed_plan(stage_spec(settings, "preprocess"), scans, dataset)
    paths, names = study(folder), list(scans["scan"])
    write_timed_shard(plan, folder, None, 0, 1, paths.runs(0))
    write_json(paths.plan, plan)
    write_table(paths.scans, scans.assign(sha256=names))
    half = len(names) // 2
    write_json(paths.splits, Splits(test=(), folds=(tuple(names[:half]), tuple(names[half:]))))
    write_json(paths.spec("train"), stage_spec(settings, "train"))


def train(folder: Path) -> None:
    """Train on clips of the preprocessed runs."""
    from voxnas.arch.baselines import BASELINES
    from voxnas.core.training import Fit
    from voxnas.training.distributed.single import SingleBackend
    from voxnas.training.run_options import RunOptions
    from voxnas.training.store import Entry
    from voxnas.training.worker import train_entry

    paths, entry = study(folder), Entry(folder / "study" / "store" / "one")
    plan = read_plan(paths.plan)
    architecture, recipe = BASELINES["cnn-gru"](plan, LimitSettings(parameters=None))
    write_json(entry.job, Fit(architecture=architecture, recipe=recipe, fold=0, seed=0, samples=CLIPS))
    train_entry(paths, entry, RunOptions(), SingleBackend())


def whole(folder: Path) -> None:
    """Clean a whole image with nilearn."""
    from nilearn.image import clean_img

    row = read_table(folder / "scans.tsv", {"scan": str}).iloc[0]
    confounds = read_table(row["confounds"], {}).astype(float)
    clean_img(row["image"], standardize="zscore_sample", confounds=confounds, mask_img=row["mask"])


def _measured(work: Callable[[Path], None], folder: Path) -> tuple[float, float, float]:
    """Peak memory in MiB, its increase after the imports, and CPU seconds; runs in a separate process."""
    import zarr  # noqa: F401

    import voxnas.data.fmri.prepare_runs
    import voxnas.training.worker  # noqa: F401

    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began = time.process_time()
    work(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return peak, peak - start, time.process_time() - began


def measure(
    work: Callable[[Path], None], size: Size, frames: int, runs: int, before: Callable[[Path], None] | None = None
) -> dict[str, object]:
    """Peak memory of one process; its prerequisites run in another process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_atlas(folder, size)
        rows = [make_run(folder, f"run-{n}", size, frames) for n in range(runs)]
        write_table(folder / "scans.tsv", pd.DataFrame(rows))
        for part in (before, work):
            if part is not None:
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    peak, over, seconds = pool.submit(_measured, part, folder).result()
    row = {"work": work.__name__, "frames": frames, "runs": runs, "peak_mib": peak, "over_start_mib": over}
    return {**row, "cpu_seconds": seconds}


def main() -> None:
    """Measure, print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(40, 48, 34), help="voxels along x, y and z")
    parser.add_argument("--frames", type=int, nargs="+", default=[120, 1200], help="lengths of a run")
    parser.add_argument("--runs", type=int, default=6, help="number of runs in the third measurement")
    parser.add_argument("--output", type=Path, help="folder for bold_memory.tsv")
    arguments = parser.parse_args()
    size = tuple(arguments.size)
    rows = [measure(preprocess, size, frames, 1) for frames in arguments.frames]
    rows.append(measure(preprocess, size, arguments.frames[0], arguments.runs))
    rows += [measure(train, size, frames, TRAIN_RUNS, before=preprocess) for frames in arguments.frames]
    rows.append(measure(train, size, arguments.frames[0], TRAIN_RUNS * arguments.runs, before=preprocess))
    rows += [measure(whole, size, frames, 1) for frames in arguments.frames]
    table = pd.DataFrame(rows)
    first = table.groupby("work")["peak_mib"].transform("first")
    table["to_first"] = table["peak_mib"] / first
    print(table.round(3).to_string(index=False))
    if arguments.output:
        write_table(arguments.output / "bold_memory.tsv", table.round(3))


if __name__ == "__main__":
    main()
