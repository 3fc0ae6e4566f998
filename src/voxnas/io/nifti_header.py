"""The header of a NIfTI file as it is stored, without the repairs of nibabel."""

import gzip
import math
import zlib
from pathlib import Path

import nibabel as nib

from voxnas.core.errors import ScanError

MAX_VOXELS = 1 << 29  # of one volume: 2 GiB as float32; an ex vivo brain at 0.25 mm has 5 x 10^8 voxels
MAX_DEFLATE_RATIO = 1032  # maximum compression ratio of a deflate stream
GZIP_ERRORS = (OSError, EOFError, zlib.error)  # raised by gzip on damaged content
NOT_A_SCALAR = {1: "1-bit", 32: "complex", 128: "RGB colour", 1792: "complex", 2048: "complex", 2304: "RGBA colour"}


def damaged_gzip(path: Path, error: Exception) -> ScanError:
    """Convert one of :data:`GZIP_ERRORS` to a ScanError."""
    text = "wrong gzip checksum (CRC)" if "CRC" in str(error) else f"damaged gzip: {error}"
    return ScanError(f"{path}: {text}", "download the file again")


def first_bytes(path: Path) -> bytes:
    """Read the first 540 bytes of the (decompressed) file; ScanError if the file is not an image."""
    if not path.exists():
        if path.is_symlink():
            raise ScanError(f"{path}: a link to missing content", "run git annex get or datalad get")
        raise ScanError(f"{path}: no such file")
    if not path.is_file():
        raise ScanError(f"{path}: not a file")
    try:
        with path.open("rb") as file:
            head = file.read(540)
    except OSError as error:
        raise ScanError(f"{path}: unreadable: {error.strerror}") from None
    if not head:
        raise ScanError(f"{path}: empty file (0 bytes)")
    if head.startswith(b"version https://git-lfs"):
        raise ScanError(f"{path}: a git-LFS pointer without its content", "run git lfs pull")
    if head.startswith(b"/annex/objects/"):
        raise ScanError(f"{path}: a git-annex pointer without its content", "run git annex get or datalad get")
    packed = head[:2] == b"\x1f\x8b"
    if (not packed and len(head) < 348 and b"\0" not in head) or head.lstrip()[:1] == b"<":
        raise ScanError(f"{path}: a text or HTML file, not an image", "download it again")
    if path.suffix == ".gz" and not packed:
        raise ScanError(f"{path}: not gzip although its name ends in .gz", "rename or download it again")
    if path.suffix == ".nii" and packed:
        raise ScanError(f"{path}: gzip although its name ends in .nii", "rename it to .nii.gz")
    if path.suffix == ".gz":
        try:
            with gzip.open(path) as file:
                head = file.read(4096)[:540]  # more than nibabel reads, so that damage is reported here
        except GZIP_ERRORS as error:
            raise damaged_gzip(path, error) from None
    return head


def stored_header(path: Path, head: bytes, warnings: list[str]) -> nib.Nifti1Header:
    """Parse the NIfTI header as it is stored and check it against the size of the file.

    Parameters
    ----------
    path : path
        File.
    head : bytes
        Result of :func:`first_bytes`.
    warnings : list of str
        List to which doubts are appended.

    Raises
    ------
    ScanError
        If the header is inconsistent.
    """
    if len(head) < 348:
        raise ScanError(f"{path}: {len(head)} bytes are too few for a NIfTI header")
    sizes = {int.from_bytes(head[:4], "little"): "<", int.from_bytes(head[:4], "big"): ">"}
    kind: type[nib.Nifti1Header]
    if 540 in sizes:
        order, kind, length = sizes[540], nib.Nifti2Header, 540
    else:
        if head[344:347] not in (b"n+1", b"ni1"):
            raise ScanError(f"{path}: not NIfTI (no magic number in the header)")
        if 348 not in sizes:
            warnings.append(f"header length is stored as {min(sizes)} instead of 348")
        order = sizes.get(348, "<" if head[40] in range(1, 8) else ">")
        kind, length = nib.Nifti1Header, 348
    if len(head) < length:
        raise ScanError(f"{path}: {len(head)} bytes are too few for a NIfTI-2 header")
    raw = kind(head[:length], endianness=order, check=False)
    axes = int(raw["dim"][0])
    if not 1 <= axes <= 7:
        raise ScanError(f"{path}: the number of axes in the header, dim[0], is {axes}; allowed: 1 to 7")
    shape = [int(n) for n in raw["dim"][1 : axes + 1]]
    if min(shape) < 1:
        raise ScanError(f"{path}: the shape in the header is {'x'.join(map(str, shape))}; all axes must be positive")
    code = int(raw["datatype"])
    if code in NOT_A_SCALAR:
        raise ScanError(f"{path}: {NOT_A_SCALAR[code]} voxels (datatype {code})", "convert it to one number per voxel")
    try:
        size = raw.get_data_dtype().itemsize
    except KeyError:
        raise ScanError(f"{path}: datatype code {code} is unknown") from None
    if size == 0:
        raise ScanError(f"{path}: datatype code {code} defines no voxel type")
    offset, least = float(raw["vox_offset"]), length + 4  # four bytes tell whether extensions follow the header
    if not least <= offset < math.inf:
        raise ScanError(
            f"{path}: the voxels begin at byte {offset:g} by the header (vox_offset)",
            f"correct the header; the voxels of a single file begin at byte {least} or later",
        )
    claim = math.prod(shape) * size + int(offset)
    stored = path.stat().st_size
    if claim > stored * (MAX_DEFLATE_RATIO if path.suffix == ".gz" else 1):
        raise ScanError(f"{path}: the header requires {in_bytes(claim)}, but the file has {in_bytes(stored)}")
    return raw


def in_bytes(count: float) -> str:
    """Format a number of bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.0f} TB"
