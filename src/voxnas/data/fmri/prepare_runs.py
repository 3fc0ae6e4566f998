"""Preprocessing of the runs of a shard: cleaned volumes, lighter views, records and measures of quality.

Order of operations for one run (:func:`write_timed_shard`):

1. volume by volume: measures of quality, smoothing (Gaussian), mean series of the atlas's regions, crop to the
   plan's box (of the brain), linear resampling to the plan's spacing with the same field of view;
2. exclusion of a run of insufficient quality, with the reason;
3. cleaning (:mod:`voxnas.data.fmri.clean`), block by block of voxels, and of the regions' series;
4. output of the volumes to the run's file, chunk by chunk, and of maps, series and connectivity to the shard's file.

Smoothing and resampling are linear in space and cleaning is linear in time, so their order may be exchanged; cleaning
on the coarser grid is cheaper. From 1 to 4 the run is in a scratch file, so memory depends on the sizes of a volume and
a block, and not on the number of volumes or runs.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from voxnas.core.errors import ScanError, UserError
from voxnas.core.plan import RunPlan
from voxnas.data.fmri.clean import clean_block, standardized
from voxnas.data.fmri.confounds import Confounds, read_confounds
from voxnas.data.fmri.plan import SAME_GRID
from voxnas.data.fmri.quality import COLUMNS, Meter, mask_overlap, mosaic, reason_to_exclude, summarize
from voxnas.data.fmri.regions import Regions, painting
from voxnas.data.fmri.scratch import Scratch
from voxnas.data.fmri.source import Series, Source, brain_mask, find_source, optional_path, read_spatial
from voxnas.data.fmri.views import correlations, maps
from voxnas.data.preprocess import Box, inside_box, nonzero_box, resample, target_size
from voxnas.data.stimuli import DEFAULT_COLUMN, number_blocks, read_events, volume_labels
from voxnas.data.timeseries import read_series
from voxnas.io.clips import ATLAS, chunk_frames, read_atlas, write_run
from voxnas.io.records import write_json
from voxnas.io.tables import read_table, write_table
from voxnas.io.tensors import TensorWriter

PAINTING = "atlas.zip"  # regions on the plan's grid, one file for all runs of a shard
SIGMA_TO_FWHM = 8**0.5 * np.log(2) ** 0.5
MASK_SHARE = 0.5  # least share of the brain in a resampled voxel of the mask


@dataclass(frozen=True)
class Grid:
    """The grid of a run after preprocessing.

    Attributes
    ----------
    box : list of [start, stop]
        Of the canonical grid.
    size : list of int
        (X, Y, Z) of the resampled box.
    mask : ndarray of bool, (D, H, W)
        The brain on the resampled grid.
    """

    box: Box
    size: list[int]
    mask: NDArray[np.bool_]

    def resample(self, volume: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample a canonical volume (X, Y, Z) to (D, H, W) of this grid."""
        return _resampled(volume, self.box, self.size)


def write_timed_shard(
    plan: RunPlan, index: str | Path, spatial: str | Path | None, shard: int, shards: int, output: str | Path
) -> None:
    """Preprocess the runs of one shard.

    Parameters
    ----------
    plan : RunPlan
    index : path
        Folder with scans.tsv.
    spatial : path or None
        Output folder of the spatial steps, of all shards or of this shard.
    shard, shards : int
        Row r of scans.tsv belongs to shard ``r % shards``.
    output : path
        Folder for ``<scan>.zip`` (:mod:`voxnas.io.clips`), ``views.safetensors``, ``quality.safetensors`` (data of
        the figures), ``records.json`` and ``quality.tsv``.

    Raises
    ------
    UserError
        If the shard does not exist, or the settings are impossible for every run.
    """
    if not 0 <= shard < shards:
        raise UserError(f"there is no shard {shard} of {shards}", f"choose 0 to {shards - 1}")
    output, done = Path(output), read_spatial(spatial)
    rows = read_table(Path(index) / "scans.tsv", {"scan": str, "image": str}).iloc[shard::shards]
    records: dict[str, dict[str, Any]] = {}
    if plan.layout == "timeseries":
        space = painting(Path(plan.atlas), plan.regions, plan.spacing)
        write_run(output / PAINTING, [space], space.shape, len(space))
    with TensorWriter(output / "views.safetensors") as views, TensorWriter(output / "quality.safetensors") as drawn:
        for row in rows.to_dict("records"):
            try:
                if plan.layout == "timeseries":
                    record = _write_painted(row, plan, output, views, drawn)
                else:
                    record = _write_run(row, plan, done, output, views, drawn)
            except ScanError as error:
                record = {"frames": 0, "quality": {}, "geometry": {}, "excluded": str(error)}
            record["target"] = None if pd.isna(row.get("target")) else row["target"]
            records[row["scan"]] = record
    write_json(output / "records.json", records)
    measures = [{"scan": scan, **r["quality"], "excluded": r["excluded"] or None} for scan, r in records.items()]
    write_table(output / "quality.tsv", pd.DataFrame(measures, columns=["scan", *COLUMNS, "excluded"]).round(4))


def _write_run(
    row: Mapping[Hashable, Any],
    plan: RunPlan,
    spatial: Mapping[str, dict[str, Any]],
    output: Path,
    views: TensorWriter,
    drawn: TensorWriter,
) -> dict[str, Any]:
    """Preprocess one run, and return its record."""
    source = find_source(row, spatial)
    series = Series(source.bold)
    brain = brain_mask(series, source.mask)
    grid = make_grid(series, brain, plan)
    confounds = read_confounds(source, series.frames, plan.bold)
    regions = Regions(Path(plan.atlas), series, brain) if plan.atlas else None
    meter = Meter(series.frames, brain)
    means = np.zeros((series.frames, len(regions.values) if regions else 0))
    with Scratch(output, series.frames, int(grid.mask.sum())) as scratch:
        for frame, volume in enumerate(series.volumes()):
            meter.add(volume)
            volume = smoothed(volume, series.spacing, plan.bold.smoothing_mm)
            if regions:
                means[frame] = regions.means(volume)
            scratch.append(grid.resample(volume)[grid.mask])
        measured = meter.finish()
        overlap = mask_overlap(brain, series, source.space)
        brain_ml = float(brain.sum()) * float(np.prod(series.spacing)) / 1000
        quality = summarize(measured, confounds, source, overlap, brain_ml)
        record: dict[str, Any] = {
            "frames": quality["kept"],
            "repetition_time": source.repetition_time,
            "geometry": {
                "shape": list(series.stored_shape),
                "affine": series.stored_affine.tolist(),
                "orientation": series.orientation.astype(int).tolist(),
                "box": grid.box,
                "size": grid.size,
                "spacing": list(plan.spacing),
            },
            "quality": quality,
            "excluded": reason_to_exclude(quality, plan.bold.quality, plan.clip.span),
        }
        if not confounds.kept.all():
            record["volumes"] = np.flatnonzero(confounds.kept).tolist()
        if plan.unit == "volume":
            record |= _labels(row, plan, source, confounds)
        drawn.add(f"{source.scan}/carpet", measured.carpet)
        drawn.add(f"{source.scan}/dvars", measured.dvars.astype(np.float32))
        if confounds.displacement is not None:
            drawn.add(f"{source.scan}/displacement", confounds.displacement.astype(np.float32))
        drawn.add(f"{source.scan}/mean", mosaic(measured.mean).astype(np.float32))
        drawn.add(f"{source.scan}/brain", mosaic(np.where(brain, measured.mean != 0, False)).astype(np.uint8))
        if not record["excluded"]:
            _write_clean(source, scratch, confounds, grid, plan, means, output, views)
    return record


def make_grid(series: Series, brain: NDArray[np.bool_], plan: RunPlan) -> Grid:
    """Return the grid of a run: the plan's box if the study's runs share a grid, else the box of the run's own brain.

    Raises
    ------
    ScanError
        If the study's runs share a grid and this run has another, or the resampled mask is empty.
    """
    shared = plan.grid
    box: Box = nonzero_box(brain[None]) if shared is None else shared.box
    if shared and not (series.shape == shared.shape and np.allclose(series.affine, shared.affine, atol=SAME_GRID)):
        raise ScanError(
            f"{series.path}: has another grid ({'x'.join(map(str, series.shape))}) than the study's runs "
            f"({'x'.join(map(str, shared.shape))})",
            "bring all runs to one template (bold.spatial), or select runs of one grid by data.filters",
        )
    size = target_size(box, series.spacing, plan.spacing)
    mask = _resampled(brain.astype(np.float32), box, size) >= MASK_SHARE
    if not mask.any():
        raise ScanError(f"{series.path}: no voxel of {list(plan.spacing)} mm is in the brain", "choose smaller voxels")
    return Grid(box, size, mask)


def _resampled(volume: NDArray[np.float32], box: Box, size: list[int]) -> NDArray[np.float32]:
    """Crop and resample a canonical volume (X, Y, Z) to tensor order (D, H, W)."""
    return resample(volume[inside_box(box)][None], size)[0].transpose(2, 1, 0)


def smoothed(volume: NDArray[np.float32], spacing: NDArray, fwhm: float) -> NDArray[np.float32]:
    """Smooth a volume like :func:`nilearn.image.smooth_img`, without creating an image.

    Parameters
    ----------
    volume : ndarray, (X, Y, Z)
        Reflected at its borders.
    spacing : ndarray, (3,)
        Voxel size in mm.
    fwhm : float
        Full width at half maximum of the Gaussian, in mm; 0: the volume is not changed.
    """
    if not fwhm:
        return volume
    return ndimage.gaussian_filter(volume, fwhm / (SIGMA_TO_FWHM * spacing))


def _write_clean(
    source: Source,
    scratch: Scratch,
    confounds: Confounds,
    grid: Grid,
    plan: RunPlan,
    means: NDArray,
    output: Path,
    views: TensorWriter,
) -> None:
    """Clean the series of the scratch file, and write the run and its views."""
    settings, interval = plan.bold, source.repetition_time
    mean, deviation = np.zeros(scratch.voxels), np.zeros(scratch.voxels)
    for voxels, block in scratch.blocks():
        cleaned = clean_block(block, confounds, settings, interval)
        mean[voxels], deviation[voxels] = cleaned.mean, cleaned.deviation
        scratch.replace(voxels, cleaned.series)
    frames = int(confounds.kept.sum())
    if "clips" in plan.views:
        length = chunk_frames(grid.mask.size, frames)
        blocks = _volumes(scratch, frames, length, grid.mask)
        write_run(output / f"{source.scan}.zip", blocks, (frames, 1, *grid.mask.shape), length)
    if "maps" in plan.views:
        views.add(f"{source.scan}/maps", maps(mean, deviation, grid.mask))
    if means.shape[1]:
        series = clean_block(means, confounds, settings, interval).series
        views.add(f"{source.scan}/series", series)
        if "connectivity" in plan.views:
            views.add(f"{source.scan}/connectivity", correlations(series))


def _write_painted(
    row: Mapping[Hashable, Any], plan: RunPlan, output: Path, views: TensorWriter, drawn: TensorWriter
) -> dict[str, Any]:
    """Standardise a run of series of regions, which are expanded to the atlas's voxels when they are read."""
    series = read_series(row["image"], row["scan"]).astype(np.float64)
    frames, regions = series.shape
    if regions != len(plan.regions):
        raise ScanError(f"{row['image']}: {row['scan']} has {regions} regions, the atlas has {len(plan.regions)}")
    interval = float(row.get("repetition_time") or "nan")
    quality = {"frames": frames, "kept": frames, "seconds": frames * interval if interval > 0 else None}
    excluded = reason_to_exclude(quality, plan.bold.quality, plan.clip.span)
    mean, deviation = series.mean(axis=0), series.std(axis=0, ddof=1)
    space = read_atlas(output / PAINTING)
    if not excluded:
        clean = standardized(series - mean, mean, deviation, plan.bold.standardize)
        write_run(output / f"{row['scan']}.zip", [clean], clean.shape, frames, {ATLAS: PAINTING})
        views.add(f"{row['scan']}/series", clean)
        drawn.add(f"{row['scan']}/carpet", clean.T)
        if "maps" in plan.views:
            column = space[space > 0] - 1
            views.add(f"{row['scan']}/maps", maps(mean[column], deviation[column], space > 0))
        if "connectivity" in plan.views:
            views.add(f"{row['scan']}/connectivity", correlations(clean))
    return {
        "frames": frames,
        "repetition_time": interval if interval > 0 else None,
        "geometry": {"size": list(space.shape)[::-1], "spacing": list(plan.spacing)},
        "quality": quality,
        "excluded": excluded,
    }


def _volumes(scratch: Scratch, frames: int, length: int, mask: NDArray[np.bool_]) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (t, 1, D, H, W) of whole volumes; 0 outside the brain."""
    for start in range(0, frames, length):
        rows = scratch.rows(start, min(start + length, frames))
        block = np.zeros((len(rows), 1, *mask.shape), np.float32)
        block[:, 0, mask] = rows
        yield block


def _labels(row: Mapping[Hashable, Any], plan: RunPlan, source: Source, confounds: Confounds) -> dict[str, list[Any]]:
    """Return the event (``labels``) and the block of events (``blocks``) of each kept volume."""
    path = optional_path(row.get("events"))
    if path is None:
        raise ScanError(f"{row['image']}: the run has no table of events", "select runs with events by data.filters")
    assert plan.clip.delay is not None  # the settings require it
    column, events = plan.target or DEFAULT_COLUMN, read_events(path)
    grid = (len(confounds.kept), source.repetition_time, source.dropped, plan.clip.delay)
    labels = volume_labels(events, column, *grid)
    blocks = volume_labels(number_blocks(events, column), "_block", *grid)
    known, kept = set(plan.classes), confounds.kept
    return {
        "labels": [label if label in known else None for label, keep in zip(labels, kept, strict=True) if keep],
        "blocks": [None if block is None else int(block) for block, keep in zip(blocks, kept, strict=True) if keep],
    }
