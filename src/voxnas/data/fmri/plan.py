"""The plan of a study of time series: grid, views, and what each of them looks like to a network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from voxnas.core.errors import ScanError, UserError
from voxnas.core.plan import InputView, RunFingerprint, RunPlan
from voxnas.core.settings import ClipSettings
from voxnas.core.spec import PreprocessSpec
from voxnas.data.fingerprint import PADDED_STAGES, SAMPLE, choose_spacing, count_outputs, divisor_of, pad, pooling
from voxnas.data.fmri.regions import load_atlas, painting
from voxnas.data.fmri.source import Series, brain_mask, find_source, read_spatial, table_rows
from voxnas.data.preprocess import nonzero_box

SAME_GRID = 1e-2  # mm by which the affines of one grid may differ
Box = Sequence[Sequence[int]]


@dataclass(frozen=True)
class Look:
    """What the plan takes from one run.

    Attributes
    ----------
    shape : tuple of int
        (X, Y, Z), canonical.
    affine : ndarray, (4, 4)
        Canonical voxels to mm.
    box : list of [start, stop]
        Of the brain.
    spacing : ndarray, (3,)
        In mm.
    """

    shape: tuple[int, ...]
    affine: np.ndarray
    box: Box
    spacing: np.ndarray


def make_timed_plan(
    spec: PreprocessSpec, scans: pd.DataFrame, dataset: dict[str, Any], spatial: str | Path | None = None
) -> RunPlan:
    """Make the plan of a study of time series.

    Parameters
    ----------
    spec : PreprocessSpec
        Of time series.
    scans : DataFrame
        Rows of scans.tsv, without the test split.
    dataset : dict
        The content of dataset.json.
    spatial : path, optional
        Folder ``preprocess/spatial``, for runs that went through the spatial steps.

    Returns
    -------
    RunPlan
        Of volumes (X, Y, Z) that all runs share a plan has the grid, so that a voxel is the same place in all of them.

    Raises
    ------
    UserError
        If there are no runs, the task has no meaning for them, a view needs an atlas, or clips are longer than most
        of the runs.
    """
    if scans.empty:
        raise UserError("no runs are left outside the test split", "see index/excluded.tsv")
    clips, task = spec.clips, spec.task
    assert clips is not None and spec.bold is not None
    outputs = _outputs(task, clips, dataset, scans)
    seconds = pd.to_numeric(scans["repetition_time"], errors="coerce")
    lengths = scans["frames"].astype(int)
    longest = clips.span
    if longest > lengths.median():
        raise UserError(
            f"clips.frames = {clips.frames} with clips.step = {clips.step} spans {longest} volumes, "
            f"and runs have {int(lengths.median())}",
            "lower clips.frames or clips.step",
        )
    if dataset["layout"] == "timeseries":
        space = _painted_space(spec, scans, dataset)
    else:
        space = _image_space(spec, scans, spatial)
    regions = space.pop("regions")
    wanted = clips.views
    lacking = [view for view in wanted if view in ("series", "connectivity") and not regions]
    if lacking:
        raise UserError(f"clips.views has {lacking[0]}, and there is no atlas", "set clips.atlas to a label image")
    interval = round(float(seconds.median()), 6) if seconds.notna().any() else None
    kinds = {
        "clips": lambda: {"channels": 1, "frames": clips.frames, **_volumes(space["size"], space["spacing"])},
        "maps": lambda: {"channels": 2, **_volumes(space["size"], space["spacing"])},
        "series": lambda: {"channels": len(regions), **_volumes([clips.frames, 1, 1], [interval or 1.0] * 3)},
        "connectivity": lambda: {"channels": 1, **_volumes([len(regions), len(regions), 1], [1.0, 1.0, 1.0])},
    }
    views = {view: InputView(**kinds[view]()) for view in wanted}
    chosen = wanted[0] if clips.view == "auto" else clips.view
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


def _outputs(task: str, clips: ClipSettings, dataset: dict[str, Any], scans: pd.DataFrame) -> int:
    if task == "segmentation":
        raise UserError("task: segmentation has no meaning for time series", "set task: classification or regression")
    if clips.unit == "volume" and task == "regression":
        raise UserError("clips.unit: volume decodes events, which are classes", "set task: classification")
    return count_outputs(task, dataset, scans)


def _volumes(size: Sequence[int], spacing: Sequence[float]) -> dict[str, Any]:
    """Patch, strides and kernels for volumes of a size (X, Y, Z); along an axis of one voxel a kernel is 1."""
    patch, voxel = list(size)[::-1], list(spacing)[::-1]
    strides, kernels = pooling(patch, voxel)
    kernels = [[k if n > 1 else 1 for k, n in zip(kernel, patch, strict=True)] for kernel in kernels]
    return {
        "patch": pad(patch, divisor_of(strides, PADDED_STAGES)),
        "strides": strides,
        "kernels": kernels,
        "spacing": [float(s) for s in spacing],
    }


def _painted_space(spec: PreprocessSpec, scans: pd.DataFrame, dataset: dict[str, Any]) -> dict[str, Any]:
    """Of the timeseries layout: the grid of its atlas."""
    atlas = Path((spec.clips and spec.clips.atlas) or dataset["atlas"])
    values = tuple(int(v) for v in dataset["regions"])
    given = spec.preprocess.spacing
    image, _ = load_atlas(atlas)
    spacing = choose_spacing(np.array([image.header.get_zooms()[:3]])) if given == "auto" else given
    size = list(painting(atlas, values, spacing).shape)[::-1]
    return {"spacing": list(spacing), "size": size, "grid": None, "atlas": str(atlas), "regions": values}


def _image_space(spec: PreprocessSpec, scans: pd.DataFrame, spatial: str | Path | None) -> dict[str, Any]:
    looks = _look(scans, read_spatial(spatial))
    given = spec.preprocess.spacing
    spacings = np.array([look.spacing for look in looks])
    spacing = choose_spacing(spacings) if given == "auto" else given
    first = looks[0]
    shared = all(look.shape == first.shape and np.allclose(look.affine, first.affine, atol=SAME_GRID) for look in looks)
    grid = None
    if shared:
        box = _union([look.box for look in looks]) if spec.preprocess.crop else [[0, n] for n in first.shape]
        grid = {"shape": list(first.shape), "affine": first.affine.tolist(), "box": box}
    boxes = [grid["box"] if grid else look.box for look in looks]
    sizes = np.array([target_size(b, s, spacing) for b, s in zip(boxes, spacings, strict=True)])
    path = spec.clips.atlas if spec.clips else ""
    return {
        "spacing": list(spacing),
        "size": [int(n) for n in np.median(sizes, axis=0)],
        "grid": grid,
        "atlas": path,
        "regions": load_atlas(Path(path))[1] if path else (),
    }


def _look(scans: pd.DataFrame, spatial: dict[str, dict[str, Any]]) -> list[Look]:
    """At most 100 runs, evenly spaced in the order of their ids; those that cannot be used are passed over."""
    ordered = scans.sort_values("scan")
    chosen = np.unique(np.linspace(0, len(ordered) - 1, min(SAMPLE, len(ordered))).round().astype(int))
    looks, errors = [], []
    for row in table_rows(ordered.iloc[chosen]):
        try:
            source = find_source(row, spatial)
            series = Series(source.bold)
            box = nonzero_box(brain_mask(series, source.mask)[None])
        except ScanError as error:
            errors.append(error)
        else:
            looks.append(Look(series.shape, series.affine, box, series.spacing))
    if not looks:
        raise errors[0]
    return looks


def _union(boxes: Sequence[Box]) -> Box:
    return [[min(a for a, _ in pairs), max(b for _, b in pairs)] for pairs in zip(*boxes, strict=True)]


def target_size(box: Box, spacing: Sequence[float], wanted: Sequence[float]) -> list[int]:
    """Voxels (X, Y, Z) of a box at the plan's spacing, the field of view kept."""
    return [max(1, round((b - a) * s / w)) for (a, b), s, w in zip(box, spacing, wanted, strict=True)]
