import gzip
import tracemalloc

import nibabel as nib
import numpy as np
import pytest

from voxnas.core.errors import ScanError
from voxnas.io import nifti_stream
from voxnas.io.nifti import open_image
from voxnas.io.nifti_stream import read_pieces

SHAPE = (6, 5, 7)


def volumes(path, image=None):
    """The pieces of a file, joined to volumes."""
    found = {}
    for number, piece in read_pieces(image or open_image(path), path):
        found.setdefault(number, []).append(piece)
    return [np.concatenate(pieces).reshape(SHAPE, order="F") for pieces in found.values()]


def save(path, array, slope=None, inter=None, order="<"):
    header = nib.Nifti1Header(endianness=order)
    image = nib.Nifti1Image(array.astype(array.dtype.newbyteorder(order)), np.diag([2, 2, 2, 1]), header)
    image.header.set_data_dtype(array.dtype)
    if slope is not None:
        image.header.set_slope_inter(slope, inter)
    nib.save(image, path)
    return path


@pytest.mark.parametrize("end", [".nii", ".nii.gz"])
@pytest.mark.parametrize("shape", [SHAPE, (*SHAPE, 1), (*SHAPE, 9)])
@pytest.mark.parametrize("order", ["<", ">"])
def test_pieces_are_those_of_nibabel(tmp_path, monkeypatch, end, shape, order):
    monkeypatch.setattr(nifti_stream, "PIECE", 40)  # a piece ends within a plane
    array = np.random.default_rng(0).integers(-99, 99, shape).astype(np.int16)
    path = save(tmp_path / f"x{end}", array, order=order)
    assert np.array_equal(np.stack(volumes(path), -1), array.reshape(*SHAPE, -1))


def test_slope_and_intercept_are_applied(tmp_path):
    array = np.random.default_rng(0).integers(-99, 99, (*SHAPE, 3)).astype(np.int16)
    path = save(tmp_path / "x.nii.gz", array, 0.5, 10)
    image = open_image(path)
    assert np.allclose(np.stack(volumes(path, image), -1), np.asanyarray(image.dataobj))


def test_other_formats_are_read_whole(tmp_path):
    array = np.random.default_rng(0).normal(size=(*SHAPE, 3)).astype(np.float32)
    nib.save(nib.MGHImage(array, np.eye(4)), tmp_path / "x.mgz")
    assert np.array_equal(np.stack(volumes(tmp_path / "x.mgz"), -1), array)


def test_a_file_that_is_not_whole_is_refused(tmp_path):
    array = np.random.default_rng(0).normal(size=(*SHAPE, 9)).astype(np.float32)
    path = save(tmp_path / "x.nii.gz", array)
    image, data = open_image(path), gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(data[:-500]))
    with pytest.raises(ScanError, match="truncated, contains 7 kB of 8 kB"):
        volumes(path, image)
    packed = gzip.compress(data)
    path.write_bytes(packed[:-6] + bytes([packed[-6] ^ 1]) + packed[-5:])
    with pytest.raises(ScanError, match="CRC"):
        volumes(path, image)
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(ScanError, match="damaged gzip"):
        volumes(path, image)


def test_one_piece_is_in_memory(tmp_path):
    peaks = []
    for frames in (10, 100):
        path = save(tmp_path / f"{frames}.nii.gz", np.ones((32, 32, 16, frames), np.int16))
        image = open_image(path)
        tracemalloc.start()
        for _ in read_pieces(image, path):
            pass
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]
