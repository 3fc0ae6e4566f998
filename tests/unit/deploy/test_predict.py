import pytest

from voxnas.core.errors import ScanError, UserError
from voxnas.deploy.predict import Model, find_scans


def _touch(folder, *names):
    for name in names:
        (folder / name).touch()


def test_images_of_a_folder_are_scans_and_the_rest_is_counted(tmp_path):
    _touch(tmp_path, "b.nii.gz", "a.nii", "c.mgz", "notes.txt", ".hidden.nii")
    scans, others = find_scans(tmp_path, 1)
    assert list(scans) == ["a", "b", "c"] and [p.name for p in others] == ["notes.txt"]


def test_channel_files_are_one_scan_only_for_several_channels(tmp_path):
    _touch(tmp_path, "x_0000.nii.gz", "x_0001.nii.gz", "y_0000.nii.gz", "y_0001.nii.gz")
    scans, _ = find_scans(tmp_path, 2)
    assert [p.name for p in scans["x"]] == ["x_0000.nii.gz", "x_0001.nii.gz"] and list(scans) == ["x", "y"]
    assert len(find_scans(tmp_path, 1)[0]) == 4


def test_a_single_file_is_a_scan(tmp_path):
    _touch(tmp_path, "one.nii.gz", "table.csv")
    assert find_scans(tmp_path / "one.nii.gz", 1)[0] == {"one": [tmp_path / "one.nii.gz"]}
    with pytest.raises(ScanError, match=r"table\.csv is not an image"):
        find_scans(tmp_path / "table.csv", 1)


def test_two_files_that_would_write_one_output_are_named(tmp_path):
    _touch(tmp_path, "a.nii", "a.nii.gz")
    with pytest.raises(UserError, match=r"a\.nii.*a\.nii\.gz"):
        find_scans(tmp_path, 1)


def test_nothing_to_predict_is_said(tmp_path):
    with pytest.raises(UserError, match="holds no image"):
        find_scans(tmp_path, 1)
    with pytest.raises(UserError, match="does not exist"):
        find_scans(tmp_path / "absent", 1)


def test_a_folder_that_is_no_model_is_named(tmp_path):
    with pytest.raises(UserError, match=r"model\.json"):
        Model(tmp_path)
