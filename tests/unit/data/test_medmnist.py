import numpy as np
import pytest
from plans import volume_plan

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.index import find_layout, index_dataset
from voxnas.data.medmnist import is_medmnist, read_medmnist
from voxnas.data.preprocess import preprocess_scan

SETTINGS = DataSettings(target="labels")


@pytest.fixture
def folder(tmp_path):
    """Two splits of volumes of 8 voxels a side, one class in three the second; the file's own names for them."""
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", 12), ("val", 3)):
        arrays[f"{split}_images"] = (rng.random((count, 8, 8, 8)) > 0.5).astype(np.uint8) * 255
        arrays[f"{split}_labels"] = np.arange(count)[:, None] % 3 // 2
    np.savez_compressed(tmp_path / "shapes.npz", **arrays)
    return tmp_path


def test_all_splits_are_pooled_and_each_volume_is_a_participant(folder):
    assert find_layout(folder) == "npz"
    index = index_dataset(folder, "classification", SETTINGS)
    assert len(index.scans) == 15 and index.excluded.empty
    assert list(index.scans.scan[:2]) == ["train_00", "train_01"] and index.scans.scan.iloc[-1] == "val_2"
    assert (index.scans.participant == index.scans.scan).all()
    assert index.scans.target.value_counts().to_dict() == {"0": 10, "1": 5}
    assert index.dataset["classes"] == ["0", "1"] and index.dataset["layout"] == "npz"
    assert index.scans.sha256.nunique() == 15
    assert index.scans.image.iloc[0].endswith("shapes.npz#train_0")


def test_a_volume_is_preprocessed_to_half_its_size(folder):
    index = index_dataset(folder / "shapes.npz", "classification", SETTINGS)
    plan = volume_plan("classification", crop=False, spacing=(2, 2, 2), normalize="none")
    prepared = preprocess_scan([index.scans.image.iloc[4]], None, plan)
    assert prepared.image.shape == (1, 4, 4, 4)
    assert 0 < prepared.image.mean() < 1 and len(np.unique(prepared.image)) > 2  # averaged, not picked


def test_planes_are_volumes_of_one_slice(tmp_path):
    planes = np.random.default_rng(0).random((6, 8, 12)).astype(np.float32)
    np.savez(tmp_path / "planes.npz", all_images=planes, all_strain=np.arange(6.0))
    index = index_dataset(tmp_path, "regression", DataSettings(target="strain"))
    assert list(index.scans.target) == ["0.0", "1.0", "2.0", "3.0", "4.0", "5.0"] and index.excluded.empty
    prepared = preprocess_scan(
        [index.scans.image.iloc[2]], None, volume_plan("regression", crop=False, normalize="none")
    )
    assert prepared.image.shape == (1, 1, 12, 8)
    np.testing.assert_allclose(prepared.image[0, 0].T, planes[2], rtol=1e-6)


def test_a_limit_draws_by_class_and_seed(folder):
    def drawn(seed, limit=6):
        settings = SETTINGS.model_copy(update={"limit": limit})
        return index_dataset(folder, "classification", settings, seed).scans

    assert drawn(0).target.value_counts().to_dict() == {"0": 4, "1": 2}
    assert list(drawn(0).scan) == list(drawn(0).scan)
    assert set(drawn(0).scan) != set(drawn(1).scan)
    assert len(drawn(0, 100)) == 15


def test_what_does_not_fit_is_an_error_that_says_so(folder, tmp_path):
    with pytest.raises(UserError, match="no array 'train_age'"):
        read_medmnist(folder, DataSettings(target="age"))
    with pytest.raises(UserError, match="no label maps"):
        index_dataset(folder, "segmentation", SETTINGS)
    flat = tmp_path / "flat"
    flat.mkdir()
    np.savez(flat / "a.npz", train_images=np.zeros((2, 8)), train_labels=np.zeros(2))
    with pytest.raises(UserError, match="2 axes"):
        read_medmnist(flat, SETTINGS)
    np.savez(flat / "b.npz", train_images=np.zeros((2, 8, 8, 8)), train_labels=np.zeros((2, 4)))
    with pytest.raises(UserError, match="2 archives"):
        read_medmnist(flat, SETTINGS)
    with pytest.raises(UserError, match="one value for each"):
        read_medmnist(flat / "b.npz", SETTINGS)


def test_other_archives_are_no_data_set(tmp_path):
    np.savez(tmp_path / "series.npz", sub_1=np.zeros((4, 4)))
    assert not is_medmnist(tmp_path)
    with pytest.raises(UserError, match="MedMNIST"):
        find_layout(tmp_path)


def test_the_real_archive(data_root):
    settings = DataSettings(folder="adrenalmnist3d", target="labels", limit=20)
    index = index_dataset(data_root, "classification", settings)
    assert len(index.scans) == 20 and set(index.scans["shape"]) == {"64x64x64"}
