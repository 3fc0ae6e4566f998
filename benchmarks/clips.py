"""Time of reading clips from the store of a run, compared with NIfTI readers and a memory-mapped array.

    python benchmarks/clips.py --output FOLDER

A run of noise inside a head-sized ellipsoid, 64 x 64 x 36 voxels and 180 volumes by default, is written as
``.nii.gz``, as ``.nii``, as ``.npy`` and by :func:`voxnas.io.clips.write_run`. Clips at random starts are read by

- ``nifti_gz``, ``nifti``: the straightforward code, ``nibabel.load(path).get_fdata()[..., start:stop]``;
- ``nifti_gz_slice``: the same without reading the whole image, ``nibabel.load(path).dataobj[..., start:stop]``;
- ``memmap``: a copy of the slice of a memory-mapped ``.npy``;
- ``zarr``: the store, read by Zarr;
- ``run``: the store, read by :class:`voxnas.io.clips.Run`; ``run_opened`` opens the run for each clip.

All readers return float32 arrays with memory of their own; files are in the page cache. Times are processor times, and
the readers take turns, so that other work on the machine affects them little and equally. ``to_memmap`` is the ratio of
the median of a reader to the median of ``memmap``.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import zarr

from voxnas.io.clips import Run, chunk_frames, write_run
from voxnas.io.tables import write_table

Reader = Callable[[int, int], np.ndarray]
SLOW = ("nifti_gz", "nifti", "nifti_gz_slice")


def make_run(size: tuple[int, int, int], frames: int) -> np.ndarray:
    """Volumes (T, D, H, W), float32: noise in an ellipsoid, 0 around it."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in size[::-1]], indexing="ij")
    head = sum(axis**2 for axis in axes) < 0.9
    noise = np.random.default_rng(0).normal(size=(frames, *size[::-1]))
    return (noise * head).astype(np.float32)


def make_readers(folder: Path, volumes: np.ndarray) -> dict[str, Reader]:
    """Write the files; return a reader for each, which takes the first volume and the number of volumes."""
    image = nib.Nifti1Image(volumes.transpose(3, 2, 1, 0), np.eye(4))
    for name in ("run.nii.gz", "run.nii"):
        image.to_filename(folder / name)
    np.save(folder / "run.npy", volumes)
    length = chunk_frames(volumes[0].size, len(volumes))
    write_run(folder / "run.zip", [volumes[:, None]], (len(volumes), 1, *volumes.shape[1:]), length)
    mapped, run = np.load(folder / "run.npy", mmap_mode="r"), Run(folder / "run.zip")
    array = zarr.open_array(zarr.storage.ZipStore(folder / "run.zip", mode="r"), mode="r")

    def whole(name: str) -> Reader:
        return lambda start, n: nib.load(folder / name).get_fdata(dtype=np.float32)[..., start : start + n].copy()

    return {
        "nifti_gz": whole("run.nii.gz"),
        "nifti": whole("run.nii"),
        "nifti_gz_slice": lambda start, n: np.asarray(nib.load(folder / "run.nii.gz").dataobj[..., start : start + n]),
        "zarr": lambda start, n: np.asarray(array[start : start + n]),
        "run": lambda start, n: run.frames(start, start + n),
        "run_opened": lambda start, n: Run(folder / "run.zip").frames(start, start + n),
        "memmap": lambda start, n: np.array(mapped[start : start + n]),
    }


def measure(readers: dict[str, Reader], frames: int, clip: int, turns: int, slow_turns: int) -> pd.DataFrame:
    """Milliseconds per clip of each reader, and the ratio to the memory-mapped array."""
    rng = np.random.default_rng(1)
    times: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(-1, turns):  # the first turn is a warm-up
        start = int(rng.integers(frames - clip + 1))
        for name, read in readers.items():
            if name in SLOW and turn >= slow_turns:
                continue
            began = time.process_time()
            read(start, clip)
            if turn >= 0:
                times[name].append(time.process_time() - began)
    middle = {name: float(np.median(values)) for name, values in times.items()}
    return pd.DataFrame(
        {"reader": name, "ms": 1e3 * s, "clips_a_second": 1 / s, "to_memmap": s / middle["memmap"]}
        for name, s in middle.items()
    )


def main() -> None:
    """Write the files, read them, print and save the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=3, default=(64, 64, 36), help="voxels along x, y and z")
    parser.add_argument("--frames", type=int, default=180, help="number of volumes of the run")
    parser.add_argument("--clips", type=int, nargs="+", default=[8, 16], help="numbers of volumes of a clip")
    parser.add_argument("--turns", type=int, default=100, help="number of clips")
    parser.add_argument("--slow-turns", type=int, default=4, help="number of clips for the NIfTI readers")
    parser.add_argument("--output", type=Path, help="folder for clips.tsv")
    arguments = parser.parse_args()
    tables = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        readers = make_readers(folder, make_run(tuple(arguments.size), arguments.frames))
        for clip in arguments.clips:
            table = measure(readers, arguments.frames, clip, arguments.turns, arguments.slow_turns)
            table.insert(0, "frames", clip)
            tables.append(table)
        sizes = {p.name: p.stat().st_size / 1e6 for p in sorted(folder.iterdir())}
    result = pd.concat(tables, ignore_index=True)
    print(result.round(3).to_string(index=False))
    print("MB:", ", ".join(f"{name} {size:.1f}" for name, size in sizes.items()))
    if arguments.output:
        write_table(arguments.output / "clips.tsv", result.round(4))


if __name__ == "__main__":
    main()
