"""Fingerprint of the data, and the plan derived from it: voxel size, patch, pooling and kernels.

The rules are nnU-Net's (Isensee et al. 2021, Nature Methods, supplementary note 3, and its code), without the search
for the largest network that fits into a GPU: the patch covers the median scan (for segmentation up to 128^3 voxels).
The fingerprint excludes the locked test split.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from voxnas.core.errors import UserError
from voxnas.core.plan import VolumeFingerprint, VolumePlan
from voxnas.core.spec import PreprocessSpec
from voxnas.data.preprocess import load_canonical, nonzero_box, voxel_size

MAX_VOXELS = 128**3
MIN_FEATURES = 4  # smallest size of an axis after pooling
MAX_STAGES = 6
PADDED_STAGES = 4  # number of stages for whose strides the patch is padded
ANISOTROPY = 3.0  # ratio of voxel sizes above which the coarse axis is resampled finer
SAMPLE = 100  # largest number of scans that are read
MASKED_SHARE = 0.75  # non-zero share of the voxels below which zeros are considered stripped background


def choose_spacing(spacings: np.ndarray) -> tuple[float, float, float]:
    """Choose the common voxel size: the median, or the 10th percentile along a much coarser axis.

    Parameters
    ----------
    spacings : ndarray, (N, 3)
        Voxel sizes in mm along R, A, S.

    Notes
    -----
    An axis whose median exceeds three times the medians of the others takes its 10th percentile, but is never finer
    than the others. Isensee et al. 2021 also require few voxels along this axis.
    """
    median = np.median(spacings, axis=0)
    worst = int(np.argmax(median))
    others = max(np.delete(median, worst))
    if median[worst] > ANISOTROPY * others:
        median[worst] = max(np.percentile(spacings[:, worst], 10), others)
    x, y, z = (round(float(s), 4) for s in median)
    return x, y, z


def pooling(patch: Sequence[int], spacing: Sequence[float]) -> tuple[list[list[int]], list[list[int]]]:
    """Choose strides and kernels of every possible stage.

    An axis is halved while at least 4 voxels remain and its voxel size is below twice the smallest voxel size that
    can still be halved. Up to stage 4 the patch is padded to fit; deeper stages halve an axis only if it divides
    evenly. A kernel is 1 along an axis while its voxel size is at least twice the smallest, else 3.

    Parameters
    ----------
    patch : sequence of int
        D, H, W in voxels.
    spacing : sequence of float
        Voxel size in mm in the same order.

    Returns
    -------
    strides, kernels : list of [d, h, w]
        One entry for each stage; the first stride is [1, 1, 1].
    """
    size, voxel = np.array(patch), np.array(spacing, dtype=float)
    divisor = padding = np.ones(3, dtype=int)
    kernel = np.where(voxel < 2 * voxel.min(), 3, 1)
    strides, kernels = [[1, 1, 1]], [kernel.tolist()]
    while len(strides) < MAX_STAGES:
        allowed = -(-size // divisor) >= 2 * MIN_FEATURES
        if len(strides) >= PADDED_STAGES:
            padded = -(-size // padding) * padding
            allowed &= padded % (2 * divisor) == 0
        if not allowed.any():
            break
        allowed &= voxel < 2 * voxel[allowed].min()
        stride = np.where(allowed, 2, 1)
        divisor, voxel = divisor * stride, voxel * stride
        if len(strides) < PADDED_STAGES:
            padding = divisor
        kernel = np.where(voxel < 2 * voxel.min(), 3, kernel)
        strides.append(stride.tolist())
        kernels.append(kernel.tolist())
    return strides, kernels


def divisor_of(strides: Sequence[Sequence[int]], stages: int | None = None) -> list[int]:
    """Return the product of the strides of the first stages (all by default), by which D, H and W must be divisible."""
    return [int(n) for n in np.prod(np.array(strides[:stages]), axis=0)]


def choose_patch(shape: Sequence[int], spacing: Sequence[float]) -> list[int]:
    """Choose the patch: the shape itself, or if that is too large, equal lengths in mm along all axes.

    Shorter axes keep their own length, which leaves more voxels to the others.

    Parameters
    ----------
    shape : sequence of int
        Median D, H, W at the plan's spacing.
    spacing : sequence of float
        Voxel size in mm in the same order.
    """
    sides, voxel = np.array(shape), np.array(spacing, dtype=float)
    low, high = 0.0, float((sides * voxel).max())
    if sides.prod() <= MAX_VOXELS:
        low = high
    for _ in range(50):
        middle = (low + high) / 2
        small = np.clip(middle / voxel, 1, sides).prod() <= MAX_VOXELS
        low, high = (middle, high) if small else (low, middle)
    return [int(n) for n in np.clip(np.floor(low / voxel + 1e-6), 1, sides)]


def pad(patch: Sequence[int], divisor: Sequence[int]) -> list[int]:
    """Round the sides up to multiples of the divisor."""
    return [math.ceil(n / d) * d for n, d in zip(patch, divisor, strict=True)]


def _given_patch(patch_xyz: Sequence[int], spacing: Sequence[float]) -> tuple[list[int], list, list]:
    """Return the patch of the settings as D, H, W, with strides and kernels; a UserError if it is not divisible."""
    patch = list(patch_xyz)[::-1]
    strides, kernels = pooling(patch, spacing[::-1])
    divisor = divisor_of(strides)
    if any(n % d for n, d in zip(patch, divisor, strict=True)):
        near = [max(1, round(n / d)) * d for n, d in zip(patch, divisor, strict=True)][::-1]
        raise UserError(
            f"training.patch = {list(patch_xyz)} is not divisible by {divisor[::-1]}, the strides of its networks",
            f"the nearest divisible patch is {near}",
        )
    return patch, strides, kernels


def sample_scans(scans: pd.DataFrame) -> pd.DataFrame:
    """Return at most 100 scans, evenly spaced in the order of their identifiers."""
    ordered = scans.sort_values("scan")
    return ordered.iloc[np.unique(np.linspace(0, len(ordered) - 1, min(SAMPLE, len(ordered))).round().astype(int))]


def _measure(row: Any, crop: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Return the shape after the crop, the voxel size in mm (both R, A, S), and the non-zero share of the scan."""
    channels, orientation, affine = load_canonical(row.image.split(";"))
    box = nonzero_box(channels) if crop else [[0, n] for n in channels.shape[1:]]
    share = float((channels != 0).any(axis=0).mean())
    return np.array([stop - start for start, stop in box]), voxel_size(affine, orientation), share


def take_fingerprint(scans: pd.DataFrame, crop: bool) -> dict[str, np.ndarray]:
    """Measure a sample of the scans (:func:`sample_scans`).

    Parameters
    ----------
    scans : DataFrame
        With the columns ``scan`` and ``image``.
    crop : bool
        Whether shapes are of the non-zero boxes.

    Returns
    -------
    dict
        ``shapes`` (N, 3) in voxels, ``spacings`` (N, 3) in mm, both along R, A, S; ``nonzero`` (N,).
    """
    measured = [_measure(row, crop) for row in sample_scans(scans).itertuples()]
    shapes, spacings, nonzero = (np.array(part) for part in zip(*measured, strict=True))
    return {"shapes": shapes, "spacings": spacings, "nonzero": nonzero}


def count_outputs(task: str, dataset: dict[str, Any], scans: pd.DataFrame) -> int:
    """Return the number of outputs of a network for each voxel or scan; a UserError if the task has no classes."""
    if task == "segmentation":
        if len(dataset["labels"]) < 2:
            raise UserError(f"the data set has no labels besides the background: {dataset['labels']}")
        return len(dataset["labels"])
    if task == "classification":
        if len(dataset["classes"]) < 2:
            raise UserError(
                f"column {dataset['target']!r} has one class only: {dataset['classes']}", "choose another data.target"
            )
        return len(dataset["classes"])
    bad = scans[pd.to_numeric(scans["target"], errors="coerce").isna()]
    if len(bad):
        scan, value = bad.iloc[0][["scan", "target"]]
        raise UserError(f"scan {scan!r}: {dataset['target']} = {value!r} is not a number", "choose another data.target")
    return 1


def make_plan(spec: PreprocessSpec, scans: pd.DataFrame, dataset: dict[str, Any]) -> VolumePlan:
    """Make the plan of a study.

    Parameters
    ----------
    spec : PreprocessSpec
    scans : DataFrame
        Rows of scans.tsv, without the test split.
    dataset : dict
        The content of dataset.json.

    Returns
    -------
    VolumePlan
        ``masked`` is nnU-Net's mask for normalisation.

    Raises
    ------
    UserError
        If no scans remain, the channels differ, the task has no classes, or the patch of the settings is not
        divisible.
    """
    task, settings = spec.task, spec.preprocess
    if scans.empty:
        raise UserError("no scans are left outside the test split", "see index/excluded.tsv")
    channels = scans["channels"].astype(int)
    if channels.nunique() > 1:
        odd = scans.loc[channels != channels.mode()[0], "scan"].iloc[0]
        raise UserError(f"scan {odd!r} has another number of channels than most", "remove it from the data set")
    if len(series := scans.loc[scans["frames"].astype(int) > 1, "scan"]):
        raise UserError(f"scan {series.iloc[0]!r} is a time series, which is not supported", "choose a 3D data.suffix")
    outputs = count_outputs(task, dataset, scans)

    found = take_fingerprint(scans, settings.crop)
    spacing = choose_spacing(found["spacings"]) if settings.spacing == "auto" else settings.spacing
    shapes = np.maximum(1, np.round(found["shapes"] * found["spacings"] / np.array(spacing)))
    median_shape = [int(n) for n in np.median(shapes, axis=0)]
    extent = None
    if spec.patch == "auto":
        patch = median_shape[::-1]
        if task == "segmentation":  # other targets belong to the whole scan, which the patch must cover
            extent = patch = choose_patch(patch, spacing[::-1])
        strides, kernels = pooling(patch, spacing[::-1])
        patch = pad(patch, divisor_of(strides, PADDED_STAGES))
    else:
        patch, strides, kernels = _given_patch(spec.patch, spacing)
    return VolumePlan(
        task=task,
        spacing=spacing,
        normalize=settings.normalize,
        crop=settings.crop,
        masked=bool(np.median(found["nonzero"]) < MASKED_SHARE),
        patch=patch,
        extent=extent,
        strides=strides,
        kernels=kernels,
        channels=int(channels.iloc[0]),
        outputs=outputs,
        labels=dataset["labels"] if task == "segmentation" else {},
        classes=dataset["classes"] if task == "classification" else (),
        fingerprint=VolumeFingerprint(
            median_shape=median_shape,
            median_spacing=[round(float(s), 4) for s in np.median(found["spacings"], axis=0)],
            scans=len(scans),
        ),
    )
