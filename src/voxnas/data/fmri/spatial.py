"""From a raw run to one that lies still, in the template's space: BIDS derivatives, a volume at a time.

Steps, in this order (those of ``bold.spatial``; one that cannot be done is left out, and the sidecar says why):

1. ``steady``: volumes before the steady state are dropped (:mod:`voxnas.data.fmri.steady`);
2. ``slice_timing``: slices are brought to the middle of the repetition time (:mod:`voxnas.data.fmri.slice_timing`);
3. ``motion``: the pose at each volume, estimated before step 2 so that what a jerk does stays in its volume
   (:mod:`voxnas.data.fmri.motion`);
4. ``bias``: N4 on the mean of the first volumes (:mod:`voxnas.data.fmri.bias`);
5. ``mask``: the brain in that mean (:mod:`voxnas.data.fmri.brain_mask`);
6. ``anatomical``: the mean to the participant's T1-weighted image, rigidly;
7. ``template``: that image to the template, in which the series is written (:mod:`voxnas.data.fmri.registration`).

Volumes are then read once more, one by one: slices shifted, divided by the bias field, and sampled a
single time, where 3, 6 and 7 together say (cubic splines), on one grid for all runs of the study. It
is the order of fMRIPrep (Esteban et al. 2019). Memory is that of a few volumes, however long the run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pandas as pd
import SimpleITK as sitk
from numpy.typing import NDArray

from voxnas.core.errors import ScanError
from voxnas.data.fmri.anatomy import Anatomy, Way, dice, find_way, same_head_grid
from voxnas.data.fmri.bias import bias_field
from voxnas.data.fmri.brain_mask import bold_mask
from voxnas.data.fmri.confound_table import ConfoundMeter, tissue_masks
from voxnas.data.fmri.derivatives import Names, Step, describe_confounds, describe_run
from voxnas.data.fmri.motion import COLUMNS as MOTION_COLUMNS
from voxnas.data.fmri.motion import centre_of, estimate_motion, make_reference, to_matrix
from voxnas.data.fmri.registration import TEMPLATE_SPACE, load_template
from voxnas.data.fmri.slice_timing import MIDDLE, read_slice_times, shift_slices
from voxnas.data.fmri.source import Series
from voxnas.data.fmri.steady import FIRST, count_non_steady
from voxnas.data.fmri.volumes import RunWriter, Volume, save_volume
from voxnas.data.fmri.warp import grid_points, sample
from voxnas.io.tables import write_table

THIN = 4  # slices below which a rigid pose in 3D is not determined
FEWEST = 5  # volumes that a run must have


@dataclass
class Work:
    """One run on its way through the steps.

    Attributes
    ----------
    series : Series
        The raw run.
    sidecar : mapping
        Its metadata.
    repetition_time : float
        In s.
    wanted : sequence of str
        Names of the steps.
    done : list of Step
        What became of them.
    """

    series: Series
    sidecar: Mapping[str, Any]
    repetition_time: float
    wanted: Sequence[str]
    done: list[Step] = field(default_factory=list)

    def did(self, name: str) -> bool:
        """Whether a step was done."""
        return any(step.name == name and not step.reason for step in self.done)

    def found(self, name: str, detail: str) -> Any:
        """What a step found; None if it was not done."""
        return next((step.details.get(detail) for step in self.done if step.name == name), None)

    def note(self, name: str, reason: str = "", **details: Any) -> None:
        """Write down what became of a step, if it is wanted."""
        if name in self.wanted:
            self.done.append(Step(name, reason, details))


def process_run(
    bold: Path,
    sidecar: Mapping[str, Any],
    repetition_time: float,
    steps: Sequence[str],
    anatomy: Anatomy | None,
    grid: Volume,
    folder: Path,
) -> dict[str, Any]:
    """Put one run through the spatial steps.

    Parameters
    ----------
    bold : Path
        Raw image, (X, Y, Z, T).
    sidecar : mapping
        Its metadata.
    repetition_time : float
        In s.
    steps : sequence of str
        ``bold.spatial``.
    anatomy : Anatomy or None
        The T1-weighted image of the participant.
    grid : Volume
        Of the template's space, where the run is written if it gets there.
    folder : Path
        Of the derivatives.

    Returns
    -------
    dict
        ``bold``, ``mask``, ``confounds``, ``sidecar``: paths relative to the folder; ``dropped``: volumes left out at
        the start; ``space``: the entity, or empty; ``left_out``: steps that could not be done, and why; ``quality``:
        what the steps found.

    Raises
    ------
    ScanError
        If the run cannot be read, or shows no brain.
    """
    work = Work(Series(bold), sidecar, repetition_time, steps)
    dropped = _steady(work)
    slices = _slice_times(work)
    mean, poses = _motion(work, dropped)
    bias, brain = _brain(work, mean)
    mean = mean.with_array(mean.array / bias)
    way, space = _register(work, mean, brain, anatomy)
    if space == "T1w" and anatomy is not None:
        grid = same_head_grid(anatomy, float(np.prod(work.series.spacing) ** (1 / 3)))
    elif not space:
        grid = mean
    places = way.places(grid) if space else grid_points(grid)

    mask = sample(mean.with_array(brain.astype(np.float32)), places, order=1).reshape(grid.array.shape) > 0.5
    if not mask.any():
        raise ScanError(f"{bold}: no voxel of the brain is left after registration", "look at the image's orientation")
    overlap = _template_overlap(mask, grid) if space == TEMPLATE_SPACE else None
    if overlap is not None:
        work.note("template", overlap=overlap, t1w=way.to_t1w is not None)
    names, centre = Names(bold, space), centre_of(mean)
    meter = ConfoundMeter(mask, tissue_masks(grid) if space == TEMPLATE_SPACE else {})
    lies_still = not space and not poses.any()  # voxels stay what they are
    shape = (*grid.array.shape, len(poses))
    with RunWriter(folder / names.bold, shape, grid.affine, repetition_time) as writer:
        for volume, pose in zip(_steady_volumes(work, dropped, slices), poses, strict=True):
            volume = volume / bias
            if not lies_still:
                at = nib.affines.apply_affine(to_matrix(pose, centre), places)
                volume = sample(mean.with_array(volume), at).reshape(grid.array.shape)
            writer.write(volume)
            meter.add(volume)

    table = meter.table(poses, repetition_time)
    if not work.did("motion"):
        table = table.drop(columns=[*MOTION_COLUMNS, "framewise_displacement"])
    write_table(folder / names.confounds, table)
    describe_confounds((folder / names.confounds).with_suffix(".json"), list(table.columns), centre.tolist())
    save_volume(folder / names.reference, mean)
    if "mask" in steps:
        save_volume(folder / names.mask, grid.with_array(mask))
    for path, transform in ((names.to_t1w, way.to_t1w), (names.from_template, way.from_template)):
        if transform is not None:
            sitk.WriteTransform(transform, str(folder / path))
    start = MIDDLE * repetition_time if slices else None
    describe_run(folder / names.sidecar, bold, repetition_time, start, dropped, work.done)
    return {
        "bold": str(names.bold),
        "mask": str(names.mask) if "mask" in steps else None,
        "confounds": str(names.confounds),
        "sidecar": str(names.sidecar),
        "dropped": dropped,
        "space": space,
        "left_out": {step.name: step.reason for step in work.done if step.reason},
        "quality": {
            "mean_fd_mm": _mean_displacement(table),
            "brain_ml": round(float(brain.sum()) * float(np.prod(work.series.spacing)) / 1000, 1),
            "bias_range": work.found("bias", "range"),
            "anatomical_overlap": way.overlap,
            "template_overlap": overlap,
        },
    }


def _template_overlap(mask: NDArray[np.bool_], grid: Volume) -> float:
    """Dice overlap of a run's mask with the template's brain."""
    template = load_template()
    inside = sample(template.volume(template.brain), grid_points(grid), order=1).reshape(mask.shape) > 0.5
    return dice(mask, inside)


def _mean_displacement(table: pd.DataFrame) -> float | None:
    if "framewise_displacement" not in table:
        return None
    return round(float(table["framewise_displacement"].mean()), 4)


def _steady(work: Work) -> int:
    dropped = 0
    if "steady" in work.wanted:
        dropped = count_non_steady([float(v.mean()) for v in work.series.volumes(FIRST)])
        work.note("steady", dropped=dropped)
    if work.series.frames - dropped < FEWEST:
        raise ScanError(f"{work.series.path}: {work.series.frames} volumes, a run has at least {FEWEST} steady ones")
    return dropped


def _slice_times(work: Work) -> tuple[NDArray[np.float64], int] | None:
    """Times of the slices, and their axis, in canonical orientation."""
    if "slice_timing" not in work.wanted:
        return None
    found = read_slice_times(work.sidecar, work.series.stored_shape, work.repetition_time)
    if isinstance(found, str):
        work.note("slice_timing", found)
        return None
    times, stored = found
    axis, direction = (int(n) for n in work.series.orientation[stored])
    work.note("slice_timing", to_seconds=MIDDLE * work.repetition_time, axis="RAS"[axis])
    return (times if direction > 0 else times[::-1]), axis


def _motion(work: Work, dropped: int) -> tuple[Volume, NDArray[np.float64]]:
    """The mean of the first steady volumes, and the pose at each."""
    series = work.series
    if "motion" in work.wanted and min(series.shape) >= THIN:
        mean = make_reference(islice(series.volumes(), dropped, None), series.affine)
        poses = estimate_motion(islice(series.volumes(), dropped, None), mean)
        moved = np.abs(poses).max(axis=0)
        work.note("motion", most_mm=round(float(moved[:3].max()), 3), most_rad=round(float(moved[3:].max()), 5))
        return mean, poses
    work.note("motion", f"{min(series.shape)} slice(s): a rigid pose in 3D is not determined")
    first = list(islice(series.volumes(dropped + FIRST), dropped, None))
    return Volume(np.stack(first).mean(axis=0), series.affine), np.zeros((series.frames - dropped, 6))


def _brain(work: Work, mean: Volume) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The bias field (1 if it is not wanted) and the brain mask of the mean."""
    try:
        brain = bold_mask(mean)
        bias = np.ones(mean.array.shape, dtype=np.float32)
        if "bias" in work.wanted:
            bias = bias_field(mean, brain)
            brain = bold_mask(mean.with_array(mean.array / bias))
            low, high = np.percentile(bias[brain], (5, 95))
            work.note("bias", range=round(float(high / low), 4))
    except ScanError as error:
        raise ScanError(f"{work.series.path}: {error.what}", error.remedy) from None
    work.note("mask", voxels=int(brain.sum()))
    return bias, brain


def _register(work: Work, mean: Volume, brain: NDArray[np.bool_], anatomy: Anatomy | None) -> tuple[Way, str]:
    """The way to the space in which the run is written, and that space; what becomes of ``template`` is noted later."""
    if min(work.series.shape) < THIN:
        for name in ("anatomical", "template"):
            work.note(name, f"{min(work.series.shape)} slice(s) are too few to register")
        return Way(), ""
    used = anatomy if "anatomical" in work.wanted else None
    way = find_way(mean, brain, used, "template" in work.wanted)
    if used is None:
        work.note("anatomical", "no T1-weighted image of this participant")
    else:
        work.note("anatomical", overlap=way.overlap, t1w=used.path.name)
    space = TEMPLATE_SPACE if way.from_template is not None else "T1w" if used is not None else ""
    return way, space


def _steady_volumes(work: Work, dropped: int, slices: tuple[NDArray, int] | None) -> Iterator[NDArray]:
    volumes: Iterator[NDArray] = islice(work.series.volumes(), dropped, None)
    return shift_slices(volumes, *slices, work.repetition_time) if slices else volumes
