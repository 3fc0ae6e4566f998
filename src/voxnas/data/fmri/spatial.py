"""Spatial preprocessing of a raw run to the template's space, written as BIDS derivatives.

Steps, in this order (the steps of ``bold.spatial``; an impossible step is omitted, with its reason in the sidecar):

1. ``steady``: volumes before the steady state are dropped (:mod:`voxnas.data.fmri.steady`);
2. ``slice_timing``: slices are interpolated to the middle of the repetition time
   (:mod:`voxnas.data.fmri.slice_timing`);
3. ``motion``: the pose at each volume, estimated before step 2 so that sudden motion affects a single volume
   (:mod:`voxnas.data.fmri.motion`);
4. ``bias``: N4 on the mean of the first volumes (:mod:`voxnas.data.fmri.bias`);
5. ``mask``: the brain mask of this mean (:mod:`voxnas.data.fmri.brain_mask`);
6. ``anatomical``: rigid registration of the mean to the participant's T1-weighted image;
7. ``template``: registration of this image to the template, the output space (:mod:`voxnas.data.fmri.registration`).

The volumes are then read again one by one, slice-time corrected, divided by the bias field, and sampled once by cubic
splines at the points given by the composition of 3, 6 and 7, on one grid for all runs of the study. The order is
fMRIPrep's (Esteban et al. 2019). Memory holds a few volumes, independent of the length of the run.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from voxnas.core.errors import ScanError
from voxnas.data.fmri.anatomy import Alignment, Anatomy, align, dice, same_head_grid
from voxnas.data.fmri.bias import bias_field
from voxnas.data.fmri.brain_mask import bold_mask
from voxnas.data.fmri.confound_table import ConfoundMeter, tissue_masks
from voxnas.data.fmri.derivatives import Names, Step, describe_confounds, describe_run
from voxnas.data.fmri.motion import centre_of, estimate_motion, make_reference
from voxnas.data.fmri.pose import MOTION, to_matrix
from voxnas.data.fmri.registration import TEMPLATE_SPACE, load_template
from voxnas.data.fmri.slice_timing import MIDDLE, read_slice_times, shift_slices
from voxnas.data.fmri.source import Series
from voxnas.data.fmri.steady import FIRST, count_non_steady
from voxnas.data.fmri.volumes import Volume, save_run, save_volume
from voxnas.data.fmri.warp import grid_points, sample
from voxnas.io.tables import write_table

THIN = 4  # slices below which a rigid pose in 3D is undetermined
FEWEST = 5  # least number of steady volumes


@dataclass
class Work:
    """A run in processing.

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
        Outcomes of the steps.
    """

    series: Series
    sidecar: Mapping[str, Any]
    repetition_time: float
    wanted: Sequence[str]
    done: list[Step] = field(default_factory=list)

    def note(self, name: str, reason: str = "", **details: Any) -> None:
        """Record the outcome of a step, if it is wanted."""
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
    """Process one run by the spatial steps.

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
        Output grid in the template's space.
    folder : Path
        Of the derivatives.

    Returns
    -------
    dict
        ``bold``, ``mask``, ``confounds``, ``sidecar``: paths relative to the folder; ``dropped``: volumes dropped at
        the start; ``space``: the entity, or empty; ``left_out``: omitted steps with their reasons; ``quality``:
        measures of quality.

    Raises
    ------
    ScanError
        If the run cannot be read, or no brain is found.
    """
    work = Work(Series(bold), sidecar, repetition_time, steps)
    dropped = _steady(work)
    slices = _slice_times(work)
    mean, poses = _motion(work, dropped)
    bias, brain = _brain(work, mean)
    mean = mean.with_array(mean.array / bias)
    alignment, space = _register(work, mean, brain, anatomy)
    if space == "T1w" and anatomy is not None:
        grid = same_head_grid(anatomy, float(np.prod(work.series.spacing) ** (1 / 3)))
    elif not space:
        grid = mean
    points = alignment.positions(grid) if space else grid_points(grid)

    mask = sample(mean.with_array(brain.astype(np.float32)), points, order=1).reshape(grid.array.shape) > 0.5
    if not mask.any():
        raise ScanError(f"{bold}: no voxel of the brain is left after registration", "check the image's orientation")
    overlap = None
    if space == TEMPLATE_SPACE:
        overlap = _template_overlap(mask, grid)
        work.note("template", overlap=overlap, t1w=alignment.to_t1w is not None)
    names, centre = Names(bold, space), centre_of(mean)
    meter = ConfoundMeter(mask, tissue_masks(grid) if space == TEMPLATE_SPACE else {})
    interpolate = bool(space) or poses.any()
    volumes: Iterator[NDArray] = islice(work.series.volumes(), dropped, None)
    if slices:
        volumes = shift_slices(volumes, *slices, repetition_time)

    def corrected() -> Iterator[NDArray]:
        for volume, pose in zip(volumes, poses, strict=True):
            volume = volume / bias
            if interpolate:
                moved = nib.affines.apply_affine(to_matrix(pose, centre), points)
                volume = sample(mean.with_array(volume), moved).reshape(grid.array.shape)
            meter.add(volume)
            yield volume

    save_run(folder / names.bold, corrected(), (*grid.array.shape, len(poses)), grid.affine, repetition_time)
    table = meter.table(poses, repetition_time)
    outcomes = {step.name: step for step in work.done}
    displacement = None
    if "motion" in outcomes and not outcomes["motion"].reason:
        displacement = round(float(table["framewise_displacement"].mean()), 4)
    else:
        table = table.drop(columns=[*MOTION, "framewise_displacement"])
    write_table(folder / names.confounds, table)
    describe_confounds((folder / names.confounds).with_suffix(".json"), list(table.columns), centre.tolist())
    save_volume(folder / names.reference, mean)
    if "mask" in steps:
        save_volume(folder / names.mask, grid.with_array(mask))
    for path, transform in ((names.to_t1w, alignment.to_t1w), (names.from_template, alignment.from_template)):
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
            "mean_fd_mm": displacement,
            "brain_ml": round(float(brain.sum()) * float(np.prod(work.series.spacing)) / 1000, 1),
            "bias_range": outcomes["bias"].details["range"] if "bias" in outcomes else None,
            "anatomical_overlap": alignment.overlap,
            "template_overlap": overlap,
        },
    }


def _template_overlap(mask: NDArray[np.bool_], grid: Volume) -> float:
    """Return the Dice overlap of a run's mask with the template's brain."""
    template = load_template()
    inside = sample(template.volume(template.brain), grid_points(grid), order=1).reshape(mask.shape) > 0.5
    return dice(mask, inside)


def _steady(work: Work) -> int:
    """Count the volumes to drop at the start."""
    dropped = 0
    if "steady" in work.wanted:
        dropped = count_non_steady([float(v.mean()) for v in work.series.volumes(FIRST)])
        work.note("steady", dropped=dropped)
    if work.series.frames - dropped < FEWEST:
        raise ScanError(f"{work.series.path}: {work.series.frames} volumes, a run has at least {FEWEST} steady volumes")
    return dropped


def _slice_times(work: Work) -> tuple[NDArray[np.float64], int] | None:
    """Return the times of the slices, and their axis, in canonical orientation."""
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
    """Return the mean of the first steady volumes, and the pose at each volume."""
    series = work.series
    if "motion" in work.wanted and min(series.shape) >= THIN:
        mean = make_reference(islice(series.volumes(), dropped, None), series.affine)
        poses = estimate_motion(islice(series.volumes(), dropped, None), mean)
        moved = np.abs(poses).max(axis=0)
        work.note("motion", most_mm=round(float(moved[:3].max()), 3), most_rad=round(float(moved[3:].max()), 5))
        return mean, poses
    work.note("motion", f"{min(series.shape)} slice(s): a rigid pose in 3D is undetermined")
    first = list(islice(series.volumes(dropped + FIRST), dropped, None))
    return Volume(np.stack(first).mean(axis=0), series.affine), np.zeros((series.frames - dropped, 6))


def _brain(work: Work, mean: Volume) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the bias field (1 if it is not wanted) and the brain mask of the mean."""
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


def _register(work: Work, mean: Volume, brain: NDArray[np.bool_], anatomy: Anatomy | None) -> tuple[Alignment, str]:
    """Return the transforms to the output space, and its name; the outcome of ``template`` is recorded later."""
    if min(work.series.shape) < THIN:
        for name in ("anatomical", "template"):
            work.note(name, f"{min(work.series.shape)} slice(s) are too few to register")
        return Alignment(), ""
    used = anatomy if "anatomical" in work.wanted else None
    alignment = align(mean, brain, used, "template" in work.wanted)
    if used is None:
        work.note("anatomical", "no T1-weighted image of this participant")
    else:
        work.note("anatomical", overlap=alignment.overlap, t1w=used.path.name)
    return alignment, TEMPLATE_SPACE if alignment.from_template is not None else "T1w" if used is not None else ""
