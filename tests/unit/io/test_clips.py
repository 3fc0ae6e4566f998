import multiprocessing
import pickle
import zipfile

import numpy as np
import pytest
import zarr

from voxnas.core.errors import UserError
from voxnas.io.clips import ATLAS, Run, chunk_frames, write_run

SHAPE = (11, 1, 3, 4, 5)


@pytest.fixture
def volumes():
    return np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)


@pytest.fixture
def run(volumes, tmp_path):
    write_run(tmp_path / "run.zip", (volumes[i : i + 4] for i in range(0, 11, 4)), SHAPE, 3, {"interval": 2.5})
    return Run(tmp_path / "run.zip")


@pytest.mark.parametrize("wanted", [(0, 11, 1), (2, 8, 1), (3, 4, 1), (1, 11, 3), (5, 5, 1), (0, 11, 5)])
def test_a_part_is_that_of_the_array(run, volumes, wanted):
    part = run.frames(*wanted)
    assert part.dtype == np.float32 and run.shape == SHAPE
    np.testing.assert_array_equal(part, volumes[slice(*wanted)])


@pytest.mark.parametrize("length", [1, 2, 11, 20])
def test_any_length_of_chunks_and_blocks(volumes, tmp_path, length):
    write_run(tmp_path / "run.zip", [volumes[:7], volumes[7:]], SHAPE, length)
    np.testing.assert_array_equal(Run(tmp_path / "run.zip").frames(4, 10), volumes[4:10])


def test_zarr_reads_the_file(run, volumes):
    store = zarr.storage.ZipStore(run.path, mode="r")
    array = zarr.open_array(store, mode="r")
    np.testing.assert_array_equal(array[:], volumes)
    assert array.attrs["interval"] == run.attributes["interval"] == 2.5
    store.close()


def test_equal_runs_are_equal_bytes(volumes, tmp_path):
    for name in ("a.zip", "b.zip"):
        write_run(tmp_path / name, [volumes], SHAPE, 2)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("wanted", [(0, 12, 1), (-1, 3, 1), (5, 4, 1), (0, 5, 0), (0, 13, 2)])
def test_volumes_outside_the_run_are_refused(run, wanted):
    with pytest.raises(IndexError, match="of 11"):
        run.frames(*wanted)


def test_blocks_that_do_not_fill_the_shape_are_refused(volumes, tmp_path):
    with pytest.raises(ValueError, match="10 volumes"):
        write_run(tmp_path / "run.zip", [volumes[:10]], SHAPE, 3)
    with pytest.raises(ValueError, match="does not fit"):
        write_run(tmp_path / "run.zip", [volumes[..., :4]], SHAPE, 3)
    assert not list(tmp_path.iterdir())


def test_what_is_no_run_is_named(tmp_path):
    with pytest.raises(UserError, match=r"none\.zip does not exist"):
        Run(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("no zip")
    with pytest.raises(UserError, match="is not a run"):
        Run(tmp_path / "text.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("zarr.json", "{}")
    with pytest.raises(UserError, match="is not a run"):
        Run(tmp_path / "empty.zip")


def test_a_file_that_was_cut_short_after_it_was_opened(run):
    with run.path.open("r+b") as file:
        file.truncate(1200)
    with pytest.raises(UserError, match="truncated"):
        run.frames(0, 11)


def _total(run, start):
    return float(run.frames(start, start + 3).sum())


def test_several_processes_read_one_run(run, volumes):
    copy = pickle.loads(pickle.dumps(run))
    np.testing.assert_array_equal(copy.frames(0, 2), volumes[:2])
    with multiprocessing.get_context("fork").Pool(2) as pool:
        totals = pool.starmap(_total, [(run, start) for start in range(8)])
    assert totals == [_total(run, start) for start in range(8)]


def test_series_are_painted_when_they_are_read(tmp_path):
    regions = np.array([[[0, 1], [2, 2]]], dtype=np.float32)
    series = np.arange(10, dtype=np.float32).reshape(5, 2)
    write_run(tmp_path / "atlas.zip", [regions], regions.shape, 1)
    write_run(tmp_path / "run.zip", [series], series.shape, 5, {ATLAS: "atlas.zip"})
    run = Run(tmp_path / "run.zip")
    assert run.shape == (5, 1, 1, 2, 2)
    assert run.frames(1, 4, 2).tolist() == [[[[[0, 2], [3, 3]]]], [[[[0, 6], [7, 7]]]]]
    np.testing.assert_array_equal(run.series(1, 3), series[1:3])
    with pytest.raises(IndexError):
        run.frames(3, 6)


def test_chunks_are_large_enough_and_not_larger_than_the_run():
    assert chunk_frames(64 * 64 * 36, 200) == 1
    assert chunk_frames(40 * 20, 121) == 20
    assert chunk_frames(10, 50) == 50
