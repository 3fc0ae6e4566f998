"""Accuracy of the motion estimates on runs of the phantom, whose motion is known.

    python benchmarks/motion.py --output FOLDER

The table has one row per site, voxel size and scale of the motion (1: minimal motion). The motion is estimated as in a
study, and poses are compared relative to the volume of the reference. ``shift_mm`` is the distance at the centre of the
brain and ``turn_deg`` the angle of the rotation between the true and the estimated pose: median and maximum over the
volumes. ``fd_mm`` is the mean framewise displacement, true and estimated; ``seconds`` is the processor time per volume.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from voxnas.core.seeds import derive_seed
from voxnas.data.fmri.motion import centre_of, estimate_motion, make_reference
from voxnas.data.fmri.pose import framewise_displacement, to_matrix
from voxnas.data.phantom import SITES, Person, load_template, make_head
from voxnas.data.phantom_bold import make_run
from voxnas.io.tables import write_table

FRAMES = 48
TARGET = 0.2  # mm and degrees


def relative(poses: np.ndarray, to: int) -> np.ndarray:
    """Poses, (T, 4, 4), relative to one of them."""
    return poses @ np.linalg.inv(poses[to])


def errors(true: np.ndarray, found: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distances at the centre in mm, and angles in degrees, between poses (T, 4, 4)."""
    between = np.linalg.inv(true) @ found
    shift = np.linalg.norm(between[:, :3, :3] @ centre + between[:, :3, 3] - centre, axis=1)
    cosine = (np.trace(between[:, :3, :3], axis1=1, axis2=2) - 1) / 2
    return shift, np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def rows(spacings: list[float], scales: list[float], frames: int) -> Iterator[dict[str, object]]:
    """Rows of the table."""
    for spacing in spacings:
        template = load_template(max(2.0, spacing / 2))
        for site in SITES:
            person = Person("sub-01", 40.0, "control", site, 0.3)
            fine = max(2.0, spacing / 2)
            head = make_head(template, person, fine, np.random.default_rng(derive_seed(0, site.name)))
            for scale in scales:
                rng = np.random.default_rng(derive_seed(0, site.name, str(scale)))
                run = make_run(head, person, spacing, rng, frames, motion_scale=scale)
                steady = range(run.non_steady, frames)
                start = time.process_time()
                volumes = [run.image[..., t].astype(np.float32) for t in steady]
                reference = make_reference(iter(volumes), run.affine)
                parameters = estimate_motion(volumes, reference)
                seconds = (time.process_time() - start) / len(volumes)
                middle = 8  # of the 16 volumes of the reference
                found = np.stack([to_matrix(p, centre_of(reference)) for p in parameters])
                true = np.stack([to_matrix(run.motion[t], run.centre) for t in steady])
                shift, turn = errors(relative(true, middle), relative(found, middle), run.centre)
                displacement = [framewise_displacement(p)[1:].mean() for p in (run.motion[list(steady)], parameters)]
                yield {
                    "voxel_mm": spacing,
                    "site": site.name,
                    "motion": scale,
                    "shift_mm": round(float(np.median(shift)), 3),
                    "largest_mm": round(float(shift.max()), 3),
                    "turn_deg": round(float(np.median(turn)), 3),
                    "largest_deg": round(float(turn.max()), 3),
                    "true_fd_mm": round(float(displacement[0]), 3),
                    "fd_mm": round(float(displacement[1]), 3),
                    "seconds": round(seconds, 3),
                }


def main() -> None:
    """Print the table, and write it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    parser.add_argument("--output", type=Path, help="folder for motion.tsv")
    parser.add_argument("--voxels", type=float, nargs="+", default=[5.0, 8.0], help="voxel sizes in mm")
    parser.add_argument("--motion", type=float, nargs="+", default=[1.0, 4.0], help="scales of the motion")
    parser.add_argument("--frames", type=int, default=FRAMES, help="number of volumes of a run")
    arguments = parser.parse_args()
    table = pd.DataFrame(rows(arguments.voxels, arguments.motion, arguments.frames))
    print(table.to_string(index=False))
    medians = table["shift_mm"].median(), table["turn_deg"].median()
    print(f"median over runs: {medians[0]:.3f} mm, {medians[1]:.3f} degrees; target {TARGET} of each")
    if arguments.output:
        write_table(arguments.output / "motion.tsv", table)


if __name__ == "__main__":
    main()
