import numpy as np
import pytest

from voxnas.data.fmri.scratch import Scratch

FRAMES, VOXELS = 7, 13


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(FRAMES, VOXELS)).astype(np.float32)


@pytest.fixture(params=[1, 20, 28, 1000])
def scratch(request, tmp_path, rows):
    with Scratch(tmp_path, FRAMES, VOXELS, values=request.param) as scratch:
        for row in rows:
            scratch.append(row)
        yield scratch


def test_blocks_have_all_times_of_all_voxels_once(scratch, rows):
    found = np.full_like(rows, np.nan)
    for voxels, block in scratch.blocks():
        found[:, voxels] = block
    np.testing.assert_array_equal(found, rows)


def test_rows_are_those_that_were_written(scratch, rows):
    np.testing.assert_array_equal(scratch.rows(2, 6), rows[2:6])


def test_a_shorter_block_takes_the_place_of_one(scratch, rows):
    for voxels, block in scratch.blocks():
        scratch.replace(voxels, 2 * block[1:])
    np.testing.assert_array_equal(scratch.rows(0, FRAMES - 1), 2 * rows[1:])


def test_what_does_not_fit_is_refused_and_no_file_stays(tmp_path):
    with Scratch(tmp_path, 2, 3) as scratch:
        with pytest.raises(ValueError, match="does not fit"):
            scratch.append(np.zeros(4, np.float32))
        with pytest.raises(ValueError, match="nothing was written"):
            scratch.rows(0, 1)
        assert not list(tmp_path.iterdir())
