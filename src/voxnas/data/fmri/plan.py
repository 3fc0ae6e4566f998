"""The plan of a study of time series: grid, views, and the network input of each view."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxnas.core.errors import ScanError, UserError
from voxnas.core.plan import InputView, RunFingerprint, RunPlan
from voxnas.core.spec import PreprocessSpec
from voxnas.data.fingerprint import PADDED_STAGES, choose_spacing, count_outputs, divisor_of, pad, pooling, sample_scans
from voxnas.data.fmri.regions import load_atlas, painting
from voxnas.data.fmri.source import Series, brain_mask, find_source, read_spatial
from voxnas.data.preprocess import Box, nonzero_box, target_size

SAME_GRID = 1e-2  # mm by which the affines of one grid may differ


def make_timed_plan(
    spec: PreprocessSpec, scans: pd.DataFrame, dataset: dict[str, Any], spatial: str | Path | None = None
) -> RunPlan:
    """Make the plan of a study of time series.

    Parameters
    ----------
    spec : PreprocessSpec
        With the settings of time series.
    scans : DataFrame
        Rows of scans.tsv, without the test split.
    dataset : dict
        The content of dataset.json.
    spatial : path, optional
        Folder ``preprocess/spatial``, for runs processed by the spatial steps.

    Returns
    -------
    RunPlan
        It contains the grid (X, Y, Z) if all runs share one, so that a voxel is at one position in all runs.

    Raises
    ------
    UserError
        If no runs remain, the task is undefined for runs, a view needs an atlas, or clips are longer than most runs.
    """
    if scans.empty:
        raise UserError("no runs are left outside the test split", "see index/excluded.tsv")
    clips, task = spec.clips, spec.task
    assert clips is not None and spec.bold is not None
    if task == "segmentation":
        raise UserError("task: segmentation is undefined for time series", "set task: classification or regression")
    if clips.unit == "volume" and task == "regression":
        raise UserError("clips.unit: volume decodes events, which are classes", "set task: classification")
    outputs = count_outputs(task, dataset, scans)
    lengths = scans["frames"].astype(int)
    if clips.span > lengths.median():
        raise UserError(
            f"clips.frames = {clips.frames} with clips.step = {clips.step} spans {clips.span} volumes, "
            f"and runs have {int(lengths.median())}",
            "lower clips.frames or clips.step",
        )
    space = _painted_space(spec, dataset) if dataset["layout"] == "timeseries" else _image_space(spec, scans, spatial)
    regions = space["regions"]
    lacking = [view for view in clips.views if view in ("series", "connectivity") and not regions]
    if lacking:
        raise UserError(f"clips.views has {lacking[0]}, which needs an atlas", "set clips.atlas to a label image")
    seconds = pd.to_numeric(scans["repetition_time"], errors="coerce")
    interval = round(float(seconds.median()), 6) if seconds.notna().any() else None
    kinds = {
        "clips": lambda: {"channels": 1, "frames": clips.frames, **_volumes(space["size"], space["spacing"])},
        "maps": lambda: {"channels": 2, **_volumes(space["size"], space["spacing"])},
        "series": lambda: {"channels": len(regions), **_volumes([clips.frames, 1, 1], [interval or 1.0] * 3)},
        "connectivity": lambda: {"channels": 1, **_volumes([len(regions), len(regions), 1], [1.0, 1.0, 1.0])},
    }
    views = {view: InputView(**kinds[view]()) for view in clips.views}
    chosen = clips.views[0] if clips.view == "auto" else clips.view
    return RunPlan(
        **{**dict(views[chosen]), "spacing": space["spacing"]},
        task=task,
        layout=dataset["layout"],
        unit=clips.unit,
        target=dataset.get("target", ""),
        clip=clips,
        grid=space["grid"],
        atlas=space["atlas"],
        regions=regions,
        classes=dataset["classes"] if task == "classification" else (),
        outputs=outputs,
        bold=spec.bold,
        repetition_time=interval,
        views=views,
        view=chosen,
        fingerprint=RunFingerprint(
            median_shape=space["size"],
            median_frames=int(lengths.median()),
            shortest=int(lengths.min()),
            runs=len(scans),
        ),
    )


def _volumes(size: Sequence[int], spacing: Sequence[float]) -> dict[str, Any]:
    """Choose patch, strides and kernels for volumes of a size (X, Y, Z); along an axis of one voxel a kernel is 1."""
    patch, voxel = list(size)[::-1], list(spacing)[::-1]
    strides, kernels = pooling(patch, voxel)
    kernels = [[k if n > 1 else 1 for k, n in zip(kernel, patch, strict=True)] for kernel in kernels]
    return {
        "patch": pad(patch, divisor_of(strides, PADDED_STAGES)),
        "strides": strides,
        "kernels": kernels,
        "spacing": [float(s) for s in spacing],
    }


def _painted_space(spec: PreprocessSpec, dataset: dict[str, Any]) -> dict[str, Any]:
    """Return the space of series of regions, the grid of their atlas."""
    atlas = Path((spec.clips and spec.clips.atlas) or dataset["atlas"])
    values = tuple(int(v) for v in dataset["regions"])
    given = spec.preprocess.spacing
    image, _ = load_atlas(atlas)
    spacing = choose_spacing(np.array([image.header.get_zooms()[:3]])) if given == "auto" else given
    size = list(painting(atlas, values, spacing).shape)[::-1]
    return {"spacing": list(spacing), "size": size, "grid": None, "atlas": str(atlas), "regions": values}


def _image_space(spec: PreprocessSpec, scans: pd.DataFrame, spatial: str | Path | None) -> dict[str, Any]:
    """Return the space of images: the grid of the runs if they share one."""
    runs, boxes = _sample_runs(scans, read_spatial(spatial))
    given = spec.preprocess.spacing
    spacings = np.array([run.spacing for run in runs])
    spacing = choose_spacing(spacings) if given == "auto" else given
    grid, first = None, runs[0]
    if all(run.shape == first.shape and np.allclose(run.affine, first.affine, atol=SAME_GRID) for run in runs):
        box: Box = [[0, n] for n in first.shape]
        if spec.preprocess.crop:
            box = [[min(a for a, _ in pairs), max(b for _, b in pairs)] for pairs in zip(*boxes, strict=True)]
        grid = {"shape": list(first.shape), "affine": first.affine.tolist(), "box": box}
        boxes = [box] * len(runs)
    sizes = np.array([target_size(b, s, spacing) for b, s in zip(boxes, spacings, strict=True)])
    path = spec.clips.atlas if spec.clips else ""
    return {
        "spacing": list(spacing),
        "size": [int(n) for n in np.median(sizes, axis=0)],
        "grid": grid,
        "atlas": path,
        "regions": load_atlas(Path(path))[1] if path else (),
    }


def _sample_runs(scans: pd.DataFrame, spatial: dict[str, dict[str, Any]]) -> tuple[list[Series], list[Box]]:
    """Open a sample of the runs (:func:`sample_scans`) and find the boxes of their brains; skip unusable runs."""
    runs: list[Series] = []
    boxes: list[Box] = []
    errors = []
    for row in sample_scans(scans).to_dict("records"):
        try:
            source = find_source(row, spatial)
            series = Series(source.bold)
            boxes.append(nonzero_box(brain_mask(series, source.mask)[None]))
            runs.append(series)
        except ScanError as error:
            errors.append(error)
    if not runs:
        raise errors[0]
    return runs, boxes
