"""NIfTI images: opening with a check of the header, loading, and writing on the grid of another image.

nibabel repairs or ignores defects that a study must report (zero voxel sizes, wrong checksums, shapes that exceed the
size of the file). The header is therefore first read as it is stored. An unusable file raises a
:class:`~voxnas.core.errors.ScanError` whose message begins with the path; doubts about a usable file are warnings in
:class:`HeaderFacts`.
"""

import gzip
import logging
import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import DTypeLike, NDArray

from voxnas.core.errors import ScanError
from voxnas.io import array_files, npz
from voxnas.io.nifti_header import MAX_VOXELS, first_bytes, in_bytes, stored_header
from voxnas.io.nifti_stream import read_pieces
from voxnas.io.replace import replacing

SUFFIXES = (".nii.gz", ".nii", ".mnc", ".mgz", ".mgh")
MIN_AXIS = 4  # minimum size of the two longest axes of a volume, in voxels
SIZES_MM = (0.01, 50.0)  # plausible voxel sizes
MAX_EXTENT_MM = 3000.0  # of the field of view
MAX_LABELS = 1000  # a file with more values is an image, not a label map
LABEL_NOISE = 0.01  # maximum distance of a stored label from an integer
MIN_VOLUME = 1e-6  # of a voxel, relative to the product of its sizes; 0 for linearly dependent axes
SHIFT_TOLERANCE = 0.5  # in voxels
WARNINGS = "voxnas_warnings"  # keys of the `extra` of an image
SPACING = "voxnas_spacing"


@dataclass(frozen=True)
class HeaderFacts:
    """Properties of an image from its header.

    Attributes
    ----------
    shape : tuple of int
        (X, Y, Z) or (X, Y, Z, C or T); trailing axes of size 1 are omitted.
    spacing : tuple of float or None
        Voxel size in mm along X, Y, Z; None if unknown.
    orientation : str
        Axis codes such as ``RAS``.
    dtype : str
        Type of the stored voxels.
    warnings : tuple of str
        Doubts about the file.
    """

    shape: tuple[int, ...]
    spacing: tuple[float, float, float] | None
    orientation: str
    dtype: str
    warnings: tuple[str, ...]


def open_image(path: str | Path) -> nib.spatialimages.SpatialImage:
    """Open an image and check its header, without reading voxels.

    The affine is the sform, or the qform if the sform is unusable. A path ``FILE.npz#SPLIT_ROW`` opens a volume of an
    archive (:mod:`voxnas.io.npz`), and a path ``FILE#AXES:NAME[ROW]`` a sample of an array
    (:mod:`voxnas.io.array_files`).

    Raises
    ------
    ScanError
        If the file is missing or is not an image, or if its header is inconsistent.
    """
    path = Path(path)
    if npz.is_volume(path):
        volume = npz.open_volume(path)
        doubt = "no voxel size and orientation in the archive, assumed 1 mm and RAS"
        volume.extra |= {WARNINGS: [doubt], SPACING: None}
        return volume
    if array_files.is_sample(path):
        sample = array_files.open_sample(path)
        sample.extra |= {WARNINGS: [], SPACING: None}
        return sample
    head = first_bytes(path)
    warnings: list[str] = []
    nifti = path.name.endswith((".nii", ".nii.gz"))
    raw = stored_header(path, head, warnings) if nifti else None
    level = nib.imageglobals.logger.level
    nib.imageglobals.logger.setLevel(logging.CRITICAL)  # repairs are reported by the warnings collected here
    try:
        image = nib.load(path)
    except Exception as error:  # on damaged bytes, the readers of nibabel raise exceptions of any type
        raise ScanError(f"{path}: not readable as an image: {error}") from None
    finally:
        nib.imageglobals.logger.setLevel(level)
    if not isinstance(image, nib.spatialimages.SpatialImage):
        raise ScanError(f"{path}: {type(image).__name__} is not a volume")
    if raw is not None:
        image = _with_transform(path, image, raw, warnings)
    elif not _usable(image.affine):
        raise ScanError(f"{path}: the affine is unusable (not finite, or singular)")
    else:
        image.extra[SPACING] = _voxel_sizes(image.affine)
    shape = _volume_shape(image.shape)
    if len(shape) > 4:
        raise ScanError(f"{path}: {len(shape)} axes ({'x'.join(map(str, shape))}), at most 4 are supported")
    if len(shape) < 3:
        raise ScanError(f"{path}: a {len(shape)}D image ({'x'.join(map(str, shape))}), a volume is required")
    if sorted(shape[:3])[1] < MIN_AXIS:
        text = "x".join(map(str, shape[:3]))
        raise ScanError(f"{path}: too small ({text} voxels), two axes must have {MIN_AXIS} or more")
    _check_size(path, shape, image.extra[SPACING])
    if min(shape[:3]) < MIN_AXIS:
        warnings.append(f"only {min(shape[:3])} voxel(s) along one axis")
    image.extra[WARNINGS] = warnings
    return image


def _check_size(path: Path, shape: tuple[int, ...], spacing: tuple[float, ...] | None) -> None:
    """Raise a ScanError if a volume needs too much memory, or if its size in mm is implausible."""
    text = "x".join(map(str, shape[:3]))
    if math.prod(shape[:3]) > MAX_VOXELS:
        raise ScanError(
            f"{path}: {text} voxels need {in_bytes(4 * math.prod(shape[:3]))} of memory",
            f"a volume may have {MAX_VOXELS} voxels, {in_bytes(4 * MAX_VOXELS)}; resample it to larger voxels",
        )
    low, high = SIZES_MM
    extents = [n * size for n, size in zip(shape, spacing or (), strict=False)]
    if spacing and not (all(low <= size <= high for size in spacing) and max(extents) <= MAX_EXTENT_MM):
        raise ScanError(
            f"{path}: implausible voxel size, {'x'.join(f'{size:.6g}' for size in spacing)} mm for {text} voxels",
            f"correct the header; voxels have {low:g} to {high:g} mm, and an image at most {MAX_EXTENT_MM:g} mm",
        )


def _with_transform(
    path: Path, image: nib.spatialimages.SpatialImage, raw: nib.Nifti1Header, warnings: list[str]
) -> nib.spatialimages.SpatialImage:
    """Return the image with a usable affine and its spacing; append doubts to the warnings."""
    qcode, scode = int(raw["qform_code"]), int(raw["sform_code"])
    pixdim = np.abs(np.asarray(raw["pixdim"][1:4], dtype=float))
    sized = bool(np.isfinite(pixdim).all() and pixdim.min() > 0)
    qform = _quaternion_affine(raw) if qcode > 0 and sized else None
    sform = raw.get_sform().astype(float) if scode > 0 else None
    if sform is not None and not _usable(sform):
        if qform is None:
            raise ScanError(f"{path}: the sform is unusable (not finite, or singular) and the qform is missing")
        warnings.append("the sform is unusable (not finite, or singular), qform used")
        sform = None
        image = type(image)(image.dataobj, qform, image.header, file_map=image.file_map)
    if sform is None and qcode > 0 and sized and qform is None:
        raise ScanError(f"{path}: the qform is unusable and the sform is missing")
    affine = sform if sform is not None else qform
    if affine is not None:
        image.extra[SPACING] = _voxel_sizes(affine)
    elif sized:
        warnings.append("no orientation in the header (qform and sform codes 0), assumed LAS")
        image.extra[SPACING] = tuple(float(p) for p in pixdim)
    else:
        warnings.append("voxel size 0 in the header and no sform, spacing unknown")
        image.extra[SPACING] = None
    if sform is not None and qform is not None:
        axes = [nib.aff2axcodes(a) for a in (qform, sform)]
        moved = qcode == scode and shift_in_voxels(sform, qform, image.shape[:3]) > SHIFT_TOLERANCE
        if axes[0] != axes[1] or moved:
            names = " and ".join("".join(map(str, a)) for a in axes)
            warnings.append(f"qform and sform disagree ({names}), sform used")
    unit = {0: "", 1: "meter", 2: "", 3: "micron"}.get(int(raw["xyzt_units"]) & 7, "unknown")
    if unit:
        warnings.append(f"the unit of length in the header is {unit}, assumed mm")
    if len(_volume_shape(image.shape)) == 4 and not 0 < raw["pixdim"][4] < np.inf:
        warnings.append(f"no time step in the header (pixdim[4] is {raw['pixdim'][4]:g})")
    return image


def _quaternion_affine(raw: nib.Nifti1Header) -> NDArray[np.float64] | None:
    try:
        affine = raw.get_qform()
    except (ValueError, nib.spatialimages.HeaderDataError):  # no unit quaternion
        return None
    return affine if _usable(affine) else None


def _usable(affine: NDArray[np.float64]) -> bool:
    """Whether the affine is finite and its axes are linearly independent, whatever the voxel sizes."""
    with np.errstate(all="ignore"):
        volume = float(np.prod(nib.affines.voxel_sizes(affine)))
        return bool(np.isfinite(affine).all() and abs(np.linalg.det(affine[:3, :3])) > MIN_VOLUME * volume)


def _voxel_sizes(affine: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(size) for size in nib.affines.voxel_sizes(affine))


def _volume_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Remove trailing axes of size 1 beyond the third axis."""
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return tuple(int(n) for n in shape)


def shift_in_voxels(affine: NDArray[np.float64], other: NDArray[np.float64], shape: Collection[int]) -> float:
    """Largest distance, in voxels of `affine`, between the corners of one grid under two affines."""
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(-1, 3)
    moved = nib.affines.apply_affine(np.linalg.inv(affine) @ other, corners)
    return float(np.linalg.norm(moved - corners, axis=1).max())


def header_facts(image: nib.spatialimages.SpatialImage) -> HeaderFacts:
    """Return the properties of an image from :func:`open_image`."""
    return HeaderFacts(
        shape=_volume_shape(image.shape),
        spacing=image.extra[SPACING],
        orientation="".join(map(str, nib.aff2axcodes(image.affine))),
        dtype=np.dtype(image.get_data_dtype()).name,
        warnings=tuple(image.extra[WARNINGS]),
    )


def load_array(path: str | Path) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Load an image and check its integrity, with the memory of the result.

    Returns
    -------
    array : ndarray of float32, (X, Y, Z) or (X, Y, Z, C)
        Scaled by slope and intercept; non-finite voxels become 0.
    affine : ndarray of float64, (4, 4)
        Affine from voxel indices to mm.

    Raises
    ------
    ScanError
        As :func:`open_image`, and for a damaged or truncated file or a wrong CRC.
    """
    image = open_image(path)
    array = np.empty(math.prod(image.shape), np.float32)
    start = 0
    for _, piece in read_pieces(image, path):
        with np.errstate(over="ignore", invalid="ignore"):
            array[start : start + piece.size] = piece
        start += piece.size
    np.nan_to_num(array, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
    return array.reshape(_volume_shape(image.shape), order="F"), image.affine


def label_values(path: str | Path, allowed: Collection[int] | None = None) -> list[int]:
    """Return the sorted values of a label map, checked as by :func:`load_label`, with the memory of one piece."""
    found: set[int] = set()
    for piece in _label_pieces(path, open_image(path), allowed):
        found.update(np.unique(piece).tolist())
        if len(found) > MAX_LABELS:
            raise ScanError(f"{path}: more than {MAX_LABELS} different values", "a file of so many is no label map")
    return sorted(found)


def load_label(path: str | Path, allowed: Collection[int] | None = None) -> NDArray[np.signedinteger]:
    """Load a label map as integers.

    Parameters
    ----------
    path : path
        File.
    allowed : collection of int, optional
        Allowed values; default: all non-negative integers.

    Returns
    -------
    ndarray of int16 (int32 if a value needs it), (X, Y, Z)

    Raises
    ------
    ScanError
        As :func:`load_array`, and for fractional, negative or unknown values.
    """
    image = open_image(path)
    label = np.concatenate(list(_label_pieces(path, image, allowed)))  # int32 if one piece is
    return label.reshape(_volume_shape(image.shape), order="F")


def _label_pieces(
    path: str | Path, image: nib.spatialimages.SpatialImage, allowed: Collection[int] | None
) -> Iterator[NDArray[np.signedinteger]]:
    """Yield the checked pieces of a label map, int16 or int32."""
    if math.prod(image.shape[3:]) > 1:
        raise ScanError(f"{path}: a label map must be 3D, but this file has {image.shape[3]} volumes")
    for _, piece in read_pieces(image, path):
        if piece.dtype.kind == "f":
            whole = np.rint(piece)
            if not np.isfinite(piece).all() or np.abs(piece - whole).max() > LABEL_NOISE:
                raise ScanError(
                    f"{path}: fractional label values", "resample label maps with nearest-neighbour interpolation"
                )
            piece = whole
        low, high = int(piece.min()), int(piece.max())
        if low < 0:
            raise ScanError(f"{path}: negative label value {low}")
        if high > np.iinfo(np.int32).max:
            raise ScanError(f"{path}: label value {high} is too large")
        piece = piece.astype(np.int16 if high <= np.iinfo(np.int16).max else np.int32)
        unknown = [] if allowed is None else [int(v) for v in np.unique(piece) if int(v) not in allowed]
        if unknown:
            known = ", ".join(map(str, sorted(allowed or ())))
            raise ScanError(f"{path}: label value {', '.join(map(str, unknown[:5]))} is not one of {known}")
        yield piece


def save_like(
    path: str | Path, array: NDArray, reference: nib.spatialimages.SpatialImage, dtype: DTypeLike = np.uint8
) -> None:
    """Write an array on the grid of another image, with its affine, header codes and shape.

    Parameters
    ----------
    path : path
        A ``.nii`` or ``.nii.gz`` file; equal arrays give equal bytes.
    array : ndarray, (X, Y, Z) or (X, Y, Z, K)
        Voxels in the order of the reference.
    reference : image
        From :func:`open_image`.
    dtype : dtype
        Type of the stored voxels.
    """
    path = Path(path)
    if tuple(array.shape[:3]) != tuple(reference.shape[:3]):
        raise ValueError(f"{path}: shape {array.shape} does not fit the reference's {reference.shape}")
    if array.size == math.prod(reference.shape):
        array = array.reshape(reference.shape)
    kind = (
        nib.Nifti2Image if isinstance(reference, nib.Nifti2Pair) else nib.Nifti1Image
    )  # a single file, also for a reference of two files
    header = reference.header.copy() if isinstance(reference, nib.Nifti1Pair) else None
    image = kind(array.astype(dtype), reference.affine, header, dtype=np.dtype(dtype))
    image.header["cal_min"] = image.header["cal_max"] = 0  # the display range of the reference
    image.header.set_slope_inter(1, 0)
    save_image(path, image)


def save_image(path: str | Path, image: nib.Nifti1Image) -> None:
    """Write an image under a temporary name and rename it; equal images give equal bytes.

    Parameters
    ----------
    path : path
        A ``.nii`` or ``.nii.gz`` file; its folder is created.
    image : image
        In memory.
    """
    path, data = Path(path), image.to_bytes()
    with replacing(path) as temporary:
        temporary.write_bytes(gzip.compress(data, 6, mtime=0) if path.suffix == ".gz" else data)
