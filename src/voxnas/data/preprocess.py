"""Preprocessing of a scan to the input array of a network, and the inverse to the scan's own grid.

Order of operations (:func:`preprocess_scan`):

1. channels are loaded and stacked;
2. axes are permuted and flipped to the canonical orientation (R, A, S), without interpolation;
3. the scan is cropped to the box of the voxels that are not zero in some channel (``crop``);
4. intensities are normalised over the foreground, channel by channel;
5. the scan is resampled linearly to the plan's spacing with the same field of view; label maps are resampled class by
   class, then argmax, which keeps labels exact and small structures present; skipped if every axis is within 0.1 % of
   the plan's spacing;
6. axes are reversed to tensor order (C, D, H, W) = (C, Z, Y, X).

This is the order of nnU-Net (Isensee et al. 2021, methods): the box is exact on the scan's own grid, and the statistics
exclude the dark rim that interpolation produces around a stripped brain, so that resampled scans and others have equal
intensities. :func:`restore_probabilities` and :func:`restore_labels` invert 6, 5, 3 and 2.
"""

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
from voxnas.io.nifti_header import MAX_VOXELS, in_bytes

SAME_SPACING = 1e-3  # relative difference up to which a scan is not resampled
PERCENTILES = (0.5, 99.5)
FENCE = 5.0  # distance from the percentiles, in units of their range, beyond which intensities are clipped
Box = Sequence[Sequence[int]]  # (start, stop) along X, Y, Z


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
        JSON data that restores the scan's grid: ``shape`` (X, Y, Z) of the scan,
        ``affine`` (voxels to mm), ``orientation`` (nibabel's), ``box`` on the canonical grid,
        ``size`` of the resampled box, its ``spacing`` in mm, and the label ``values`` of the classes.
    """

    image: np.ndarray
    label: np.ndarray | None
    geometry: dict[str, Any]


def nonzero_box(channels: np.ndarray) -> list[list[int]]:
    """Return the smallest box that holds every voxel that is not zero in some channel.

    Parameters
    ----------
    channels : ndarray, (C, X, Y, Z)
        Image; the box of an image of zeros is the whole grid.

    Returns
    -------
    list of [start, stop]
        One pair for each axis.
    """
    filled = (channels != 0).any(axis=0)
    if not filled.any():
        return [[0, size] for size in filled.shape]
    along = [np.flatnonzero(filled.any(axis=others)) for others in ((1, 2), (0, 2), (0, 1))]
    return [[int(where[0]), int(where[-1]) + 1] for where in along]


def inside_box(box: Box) -> tuple[slice, ...]:
    """Return the slices of a box along (X, Y, Z)."""
    return tuple(slice(start, stop) for start, stop in box)


def target_size(box: Box, spacing: Sequence[float] | np.ndarray, wanted: Sequence[float]) -> list[int]:
    """Return the number of voxels (X, Y, Z) of a box after resampling with the same field of view.

    Parameters
    ----------
    box : sequence of (start, stop)
        In voxels.
    spacing, wanted : sequence of float
        Voxel sizes in mm before and after resampling.
    """
    return [max(1, round((stop - start) * s / w)) for (start, stop), s, w in zip(box, spacing, wanted, strict=True)]


def interpolation_matrix(size: int, target: int) -> np.ndarray:
    """Return the linear interpolation along one axis, from `size` to `target` voxels of the same field of view.

    With fewer targets the triangular kernel is as wide as a target voxel, which averages and avoids aliasing.

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
        New (X, Y, Z). An axis that already has its size is not changed.
    """
    for axis, target in enumerate(shape, start=1):
        size = channels.shape[axis]
        if size != target:
            matrix = interpolation_matrix(size, target)
            channels = np.moveaxis(np.tensordot(channels, matrix, axes=(axis, 1)), -1, axis)
    return np.ascontiguousarray(channels)


def resample_labels(label: np.ndarray, classes: int, shape: Sequence[int]) -> np.ndarray:
    """Resample class indices to another shape of the same field of view.

    Every voxel takes the class with the largest share; a tie goes to the lower class.

    Parameters
    ----------
    label : ndarray, (X, Y, Z)
        Indices from 0.
    classes : int
        Number of classes, which are resampled one by one to save memory.
    shape : sequence of int
        New (X, Y, Z).
    """
    if tuple(label.shape) == tuple(shape):
        return label
    best = np.full(tuple(shape), -1.0, dtype=np.float32)
    result = np.zeros(tuple(shape), dtype=label.dtype)
    for index in range(classes):
        share = resample((label == index).astype(np.float32)[None], shape)[0]
        # The margin excludes that rounding decides a tie.
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
        Zero mean and unit variance; the 0.5 to 99.5 percentiles to [0, 1], clipped; unchanged. Before ``zscore``,
        intensities farther from these percentiles than five times their range are clipped, so that a few extreme voxels
        (artefacts, damaged bytes) do not determine the scale. nnU-Net clips CT alone; the intensities of ordinary
        magnetic resonance images lie within 3.5 times the range (232 images of three data sets), and their z-scores are
        those of nnU-Net.
    masked : bool
        Zero is background: the statistics exclude zero voxels, and zero stays zero.

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
    low, high = np.percentile(values, PERCENTILES)
    scale = high - low
    if method == "zscore":
        if scale > 0:  # else the foreground is constant except for a few voxels, which are its content
            values = np.clip(values, low - FENCE * scale, high + FENCE * scale)
        low, scale = values.mean(), values.std()
    if scale <= 1e-6 * max(1e-6, np.abs(values).max()):
        return result
    scaled = (values - low) / scale
    result[inside] = np.clip(scaled, 0, 1) if method == "percentile" else scaled
    return result


def _canonical(array: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the array (X, Y, Z, ...) with axes along R, A, S, and its original orientation."""
    orientation = orientations.io_orientation(affine)
    return orientations.apply_orientation(array, orientation), orientation


def load_canonical(image_paths: Sequence[str | Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Load all channels of a scan.

    Returns
    -------
    channels : ndarray, (C, X, Y, Z), float32
        In canonical orientation.
    orientation : ndarray, (3, 2)
        Nibabel's orientation of the stored axes.
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


def canonical_order(sizes: Sequence[Any] | np.ndarray, orientation: Sequence[Any] | np.ndarray) -> np.ndarray:
    """Reorder one value for each stored axis to the axes R, A, S.

    Parameters
    ----------
    sizes : sequence of 3 numbers
        Along the stored axes.
    orientation : array_like, (3, 2)
        Nibabel's orientation of the stored axes.
    """
    return np.asarray(sizes)[np.argsort(np.asarray(orientation)[:, 0])]


def voxel_size(affine: np.ndarray, orientation: np.ndarray) -> np.ndarray:
    """Return the voxel size in mm along R, A and S."""
    return canonical_order(nib.affines.voxel_sizes(affine), orientation)


def preprocess_scan(image_paths: Sequence[str | Path], label_path: str | Path | None, plan: VolumePlan) -> Prepared:
    """Preprocess one scan, in the order of operations of this module.

    Parameters
    ----------
    image_paths : sequence of path
        One file for each channel, or one file with the channels last.
    label_path : path or None
        Label map on the grid of the image.
    plan : VolumePlan
        Spacing, normalisation, crop, labels and channels.

    Raises
    ------
    ScanError
        If a file cannot be used; names the file.
    """
    name = ";".join(map(str, image_paths))
    _check_memory(image_paths[0], plan.spacing)
    channels, orientation, affine = load_canonical(image_paths)
    if len(channels) != plan.channels:
        raise ScanError(f"{name} has {len(channels)} channel(s), the plan has {plan.channels}")
    whole = channels.shape[1:]
    box = nonzero_box(channels) if plan.crop else [[0, n] for n in whole]
    inside = inside_box(box)
    channels = channels[(slice(None), *inside)]

    # The field of view is kept exactly, so the resulting spacing may differ slightly from the plan's.
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
        label = np.ascontiguousarray(resample_labels(indices, len(values), size).transpose(2, 1, 0))

    geometry = {
        "shape": [whole[int(axis)] for axis in orientation[:, 0]],
        "affine": affine.tolist(),
        "orientation": orientation.astype(int).tolist(),
        "box": box,
        "size": size,
        "spacing": list(plan.spacing),
        "values": values,
    }
    return Prepared(np.ascontiguousarray(channels.transpose(0, 3, 2, 1)), label, geometry)


def _check_memory(path: str | Path, spacing: Sequence[float]) -> None:
    """Raise a ScanError if the header claims a field of view that has too many voxels of the plan's spacing."""
    image = open_image(path)
    sizes = voxel_size(image.affine, orientations.io_orientation(image.affine))
    extent = canonical_order(image.shape[:3], orientations.io_orientation(image.affine)) * sizes
    voxels = float(np.prod(np.maximum(1, extent / np.array(spacing))))
    if voxels > MAX_VOXELS:
        field = "x".join(f"{n:.4g}" for n in extent)
        raise ScanError(
            f"{path}: {field} mm need {in_bytes(4 * voxels)} of memory at the voxel size of the plan",
            "correct the voxel size in the header, or remove the scan from the data set",
        )


def _to_scan(array: np.ndarray, geometry: dict[str, Any]) -> np.ndarray:
    """Bring an array of the canonical grid (X, Y, Z, ...) to the stored axes."""
    stored = np.array(geometry["orientation"], dtype=float)
    canonical = np.array([[0, 1], [1, 1], [2, 1]], dtype=float)
    back = orientations.ornt_transform(canonical, stored)
    return np.ascontiguousarray(orientations.apply_orientation(array, back))


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
    full = np.zeros((len(inner), *canonical_order(geometry["shape"], geometry["orientation"])), dtype=np.float32)
    full[0] = 1
    full[(slice(None), *inside_box(geometry["box"]))] = inner
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
        Outside the cropped box, the value of class 0. Exact if the scan was not resampled.
    """
    values = np.array(geometry["values"])
    inner = np.asarray(label).transpose(2, 1, 0)
    inner = resample_labels(inner, len(values), [stop - start for start, stop in geometry["box"]])
    full = np.zeros(canonical_order(geometry["shape"], geometry["orientation"]), dtype=inner.dtype)
    full[inside_box(geometry["box"])] = inner
    return values[_to_scan(full, geometry)]
