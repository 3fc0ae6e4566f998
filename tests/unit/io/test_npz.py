from pathlib import Path

import numpy as np
import pytest

from voxnas.core.errors import ScanError
from voxnas.io.nifti import header_facts, load_array, open_image
from voxnas.io.npz import array_names, is_volume, read_volume, volume_path


@pytest.fixture
def archive(tmp_path):
    file = tmp_path / "shapes.npz"
    images = np.zeros((3, 6, 5, 4), np.uint8)
    images[1, 2, 3, 1] = 255
    np.savez_compressed(file, train_images=images, train_labels=[[0], [1], [0]])
    return file


def test_a_row_is_read_as_an_image(archive):
    path = volume_path(archive, "train", 1)
    assert is_volume(path) and path.name == "shapes.npz#train_1"
    facts = header_facts(open_image(path))
    assert (facts.shape, facts.spacing, facts.orientation, facts.dtype) == ((6, 5, 4), None, "RAS", "uint8")
    assert "no voxel size" in facts.warnings[0]
    array, affine = load_array(path)
    assert array[2, 3, 1] == 1 and array.sum() == 1 and (affine == np.eye(4)).all()
    assert read_volume(path).dtype == np.uint8


def test_only_paths_with_a_row_are_volumes(archive):
    assert not is_volume(archive)
    assert not is_volume(Path("a.nii.gz"))
    assert array_names(archive) == ["train_images", "train_labels"]
    assert array_names(archive.with_name("none.npz")) == []


def test_what_cannot_be_read_is_named(archive, tmp_path):
    with pytest.raises(ScanError, match="the array has 3 rows"):
        open_image(volume_path(archive, "train", 3))
    with pytest.raises(ScanError, match="'test_images' is unreadable"):
        open_image(volume_path(archive, "test", 0))
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(archive.read_bytes()[:-40])
    with pytest.raises(ScanError, match=r"damaged\.npz"):
        open_image(volume_path(damaged, "train", 0))


def test_a_changed_archive_is_read_again(archive):
    path = volume_path(archive, "train", 0)
    assert read_volume(path).max() == 0
    np.savez_compressed(archive, train_images=np.full((3, 6, 5, 4), 7, np.uint8))
    assert read_volume(path).max() == 7
