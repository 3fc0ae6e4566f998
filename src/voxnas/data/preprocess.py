"""From a scan to the array that a network sees, and back to the scan's own grid.

Order of operations (:func:`preprocess_scan`):

1. channels are loaded and stacked;
2. axes are permuted and flipped to the canonical orientation (R, A, S), without interpolation;
3. cropped to the box of the voxels that are not zero in some channel (``crop``);
4. intensities normalised, channel by channel, over the foreground;
5. resampled to the plan's spacing, linearly, the field of view kept; label maps class by class,
   then argmax, so that they stay labels and small structures survive; skipped when every axis is
   within 0.1 % of the plan's spacing;
6. axes reversed to tensor order (C, D, H, W) = (C, Z, Y, X).

This is the order of nnU-Net (Isensee et al. 2021, methods): the box is exact on the scan's own grid,
and the statistics are not those of a dark rim that interpolation makes around a stripped brain, so
scans that need resampling look like those that do not. :func:`restore_probabilities` and
:func:`restore_labels` undo 6, 5, 3 and 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nibabel import orientations

from voxnas.core.errors import ScanError
from voxnas.core.plan import VolumePlan
from voxnas.io.nifti import load_array, load_label, open_image

SAME_SPACING = 1e-3  # relative difference below which nothing is resampled
PERCENTILES = (0.5, 99.5)


@dataclass(frozen=True)
class Prepared:
    """A preprocessed scan.

    Parameters
    ----------
    image : ndarray, (C, D, H, W), float32
        Normalised intensities.
    label : ndarray, (D, H, W), uint8 or int16, or None
        Class indices: position of the label value among the sorted values of the plan.
    geometry : dict
        Plain JSON data that leads back to the scan's grid: ``shape`` (X, Y, Z) of the scan,
        ``affine`` (voxels to mm), ``orientation`` (as of nibabel), ``box`` on the canonical grid,
        ``size`` of the resampled box, its ``spacing`` in mm, and the label ``values`` of the classes.
    """

    image: np.ndarray
    label: np.ndarray | None
    geometry: dict[str, Any]


def nonzero_box(channels: np.ndarray) -> list[list[int]]:
    """The smallest box that holds every voxel that is not zero in some channel.

    Parameters
    ----------
    channels : ndarray, (C, X, Y, Z)
        Image; of an image without such a voxel, the box is the whole grid.

    Returns
    -------
    list of [start, stop]
        One pair an axis.
    """
    filled = (channels != 0).any(axis=0)
    box = []
    for axis in range(3):
        where = np.flatnonzero(filled.any(axis=tuple(a for a in range(3) if a != axis)))
        box.append([int(where[0]), int(where[-1]) + 1] if len(where) else [0, filled.shape[axis]])
    return box


def interpolation_matrix(size: int, target: int) -> np.ndarray:
    """Linear interpolation along one axis, from `size` to `target` voxels of the same field of view.

    When there are fewer targets the triangle is as wide as a target voxel, which averages what
    would else be lost or aliased.

    Returns
    -------
    ndarray, (target, size), float32
        Rows sum to 1, so probabilities stay probabilities.
    """
    scale = size / target
    centres = np.clip((np.arange(target) + 0.5) * scale - 0.5, 0, size - 1)
    weights = np.clip(1 - np.abs(centres[:, None] - np.arange(size)) / max(scale, 1.0), 0, None)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)


def resample(channels: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """Resample linearly to another shape of the same field of view.

    Parameters
    ----------
    channels : ndarray, (C, X, Y, Z)
        Image or probabilities.
    shape : sequence of int
        New (X, Y, Z). An axis that already has its size is not touched.
    """
    for axis, target in enumerate(shape, start=1):
        size = channels.shape[axis]
        if size != target:
            matrix = interpolation_matrix(size, target)
            channels = np.moveaxis(np.tensordot(channels, matrix, axes=(axis, 1)), -1, axis)
    return np.ascontiguousarray(channels)


def _resample_labels(label: np.ndarray, classes: int, shape: Sequence[int]) -> np.ndarray:
    """Class by class, one at a time to save memory; a tie goes to the lower class."""
    if tuple(label.shape) == tuple(shape):
        return label
    best = np.full(tuple(shape), -1.0, dtype=np.float32)
    result = np.zeros(tuple(shape), dtype=label.dtype)
    for index in range(classes):
        share = resample((label == index).astype(np.float32)[None], shape)[0]
        # The margin keeps rounding from deciding a tie.
        better = share > best + 1e-6
        result[better] = index
        best[better] = share[better]
    return result


def normalize(channel: np.ndarray, method: str, masked: bool) -> np.ndarray:
    """Normalise one channel.

    Parameters
    ----------
    channel : ndarray, (X, Y, Z)
        Intensities.
    method : {"zscore", "percentile", "none"}
        Zero mean and unit variance; the 0.5 to 99.5 percentiles to [0, 1], clipped; unchanged.
    masked : bool
        Zero means "no tissue": statistics are over the other voxels, and zero stays zero.

    Returns
    -------
    ndarray, (X, Y, Z), float32
        All zero where the foreground is constant or empty (except for ``none``).
    """
    if method == "none":
        return channel.astype(np.float32)
    inside = channel != 0 if masked else np.ones(channel.shape, dtype=bool)
    values = channel[inside].astype(np.float64)
    result = np.zeros(channel.shape, dtype=np.float32)
    if not values.size:
        return result
    if method == "zscore":
        low, scale = values.mean(), values.std()
    else:
        low, high = np.percentile(values, PERCENTILES)
        scale = high - low
    if scale <= 1e-6 * max(1e-6, np.abs(values).max()):
        return result
    scaled = (values - low) / scale
    result[inside] = np.clip(scaled, 0, 1) if method == "percentile" else scaled
    return result


def _canonical(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The array (X, Y, Z, ...) with its axes along R, A, S, and the orientation it had."""
    orientation = orientations.io_orientation(affine)
    return orientations.apply_orientation(array, orientation), orientation


def load_canonical(image_paths: Sequence[str | Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Load all channels of a scan.

    Returns
    -------
    channels : ndarray, (C, X, Y, Z), float32
        In canonical orientation.
    orientation : ndarray, (3, 2)
        Of the stored axes, as of nibabel.
    affine : ndarray, (4, 4)
        Of the stored axes, voxels to mm.

    Raises
    ------
    ScanError
        If a file cannot be read, or the channels do not lie on one grid.
    """
    parts, first = [], None
    for path in image_paths:
        array, affine = load_array(path)
        array, orientation = _canonical(array, affine)
        parts += [array] if array.ndim == 3 else list(np.moveaxis(array, -1, 0))
        first = first or (array.shape[:3], orientation, affine)
        if array.shape[:3] != first[0]:
            raise ScanError(f"{path} has shape {array.shape[:3]}, but {image_paths[0]} has {first[0]} (R, A, S)")
    if first is None:
        raise ValueError("a scan has at least one image")
    return np.stack(parts), first[1], np.asarray(first[2], dtype=float)


def voxel_size(affine: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Voxel size in mm along R, A and S."""
    sizes = np.empty(3)
    sizes[orientation[:, 0].astype(int)] = nib.affines.voxel_sizes(affine)
    return sizes


def preprocess_scan(image_paths: Sequence[str | Path], label_path: str | Path | None, plan: VolumePlan) -> Prepared:
    """Preprocess one scan; the order of operations is that of this module.

    Parameters
    ----------
    image_paths : sequence of path
        One file a channel, or one file with the channels last.
    label_path : path or None
        Label map on the grid of the image.
    plan : VolumePlan
        ``spacing`` in mm along R, A, S; ``normalize``; ``crop``; ``masked`` (False if absent);
        ``labels``; ``channels``.

    Raises
    ------
    ScanError
        Names the file that cannot be used.
    """
    name = ";".join(map(str, image_paths))
    channels, orientation, affine = load_canonical(image_paths)
    if len(channels) != plan.channels:
        raise ScanError(f"{name} has {len(channels)} channel(s), the plan has {plan.channels}")
    whole = channels.shape[1:]
    box = nonzero_box(channels) if plan.crop else [[0, n] for n in whole]
    inside = tuple(slice(*pair) for pair in box)
    channels = channels[(slice(None), *inside)]

    # The field of view is kept exactly, so the spacing that results may differ a little from the plan's.
    ratio = voxel_size(affine, orientation) / np.array(plan.spacing, dtype=float)
    extent = np.array(channels.shape[1:])
    same = (np.abs(ratio - 1) <= SAME_SPACING).all()
    size = [int(n) for n in (extent if same else np.maximum(1, np.round(extent * ratio)))]
    channels = np.stack([normalize(c, plan.normalize, plan.masked) for c in channels])
    channels = resample(channels, size)

    values = plan.label_values
    label = None
    if label_path is not None:
        stored, _ = _canonical(load_label(label_path, values), open_image(label_path).affine)
        if stored.shape != whole:
            raise ScanError(f"{label_path} has shape {stored.shape}, but {name} has {whole} (R, A, S)")
        indices = np.searchsorted(values, stored[inside]).astype(np.uint8 if len(values) <= 256 else np.int16)
        label = np.ascontiguousarray(_resample_labels(indices, len(values), size).transpose(2, 1, 0))

    stored_shape = [whole[int(axis)] for axis in orientation[:, 0]]
    geometry = {
        "shape": stored_shape,
        "affine": affine.tolist(),
        "orientation": orientation.astype(int).tolist(),
        "box": box,
        "size": size,
        "spacing": list(plan.spacing),
        "values": values,
    }
    return Prepared(np.ascontiguousarray(channels.transpose(0, 3, 2, 1)), label, geometry)


def _to_scan(array: np.ndarray, geometry: dict[str, Any]) -> np.ndarray:
    """From the canonical grid (X, Y, Z, ...) to the stored axes."""
    stored = np.array(geometry["orientation"], dtype=float)
    canonical = np.array([[0, 1], [1, 1], [2, 1]], dtype=float)
    back = orientations.ornt_transform(canonical, stored)
    return np.ascontiguousarray(orientations.apply_orientation(array, back))


def _canonical_shape(geometry: dict[str, Any]) -> tuple[int, ...]:
    shape = [0, 0, 0]
    for (axis, _), size in zip(geometry["orientation"], geometry["shape"], strict=True):
        shape[axis] = size
    return tuple(shape)


def restore_probabilities(probabilities: np.ndarray, geometry: dict[str, Any]) -> np.ndarray:
    """Bring class probabilities back to the scan's own grid.

    Parameters
    ----------
    probabilities : ndarray, (K, D, H, W)
        On the preprocessed grid.
    geometry : dict
        Of :func:`preprocess_scan`.

    Returns
    -------
    ndarray, (K, X, Y, Z), float32
        On the grid of the file; outside the cropped box class 0 has probability 1.
    """
    inner = np.asarray(probabilities, dtype=np.float32).transpose(0, 3, 2, 1)
    if list(inner.shape[1:]) != list(geometry["size"]):
        raise ValueError(f"probabilities of shape {inner.shape[1:]} (X, Y, Z) do not fit the size {geometry['size']}")
    inner = resample(inner, [stop - start for start, stop in geometry["box"]])
    full = np.zeros((len(inner), *_canonical_shape(geometry)), dtype=np.float32)
    full[0] = 1
    full[(slice(None), *(slice(*pair) for pair in geometry["box"]))] = inner
    return np.stack([_to_scan(channel, geometry) for channel in full])


def restore_labels(label: np.ndarray, geometry: dict[str, Any]) -> np.ndarray:
    """Bring class indices back to the scan's own grid, as the label values of the data set.

    Parameters
    ----------
    label : ndarray, (D, H, W)
        Class indices on the preprocessed grid.
    geometry : dict
        Of :func:`preprocess_scan`.

    Returns
    -------
    ndarray, (X, Y, Z), int
        Outside the cropped box, the value of class 0. Exact where nothing was resampled.
    """
    values = np.array(geometry["values"])
    inner = np.asarray(label).transpose(2, 1, 0)
    inner = _resample_labels(inner, len(values), [stop - start for start, stop in geometry["box"]])
    full = np.zeros(_canonical_shape(geometry), dtype=inner.dtype)
    full[tuple(slice(*pair) for pair in geometry["box"])] = inner
    return values[_to_scan(full, geometry)]
