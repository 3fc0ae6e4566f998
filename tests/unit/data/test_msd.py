import json

import pytest

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.msd import read_msd

MSD = {
    "name": "Toy",
    "modality": {"0": "T1", "1": "T2"},
    "labels": {"0": "background", "1": "front", "2": "back"},
    "training": [{"image": "./imagesTr/a_01.nii.gz", "label": "./labelsTr/a_01.nii.gz"}, "./imagesTr/b.nii.gz"],
}
NNUNET = {
    "channel_names": {"0": "T1", "1": "T2"},
    "labels": {"background": 0, "front": 1},
    "file_ending": ".nii.gz",
    "numTraining": 2,
}


def describe(root, description):
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def test_the_list_of_msd_is_read(tmp_path):
    layout = read_msd(describe(tmp_path, MSD), "segmentation", DataSettings())
    assert (layout.name, layout.channels) == ("Toy", ["T1", "T2"])
    assert layout.labels == {0: "background", 1: "front", 2: "back"}
    first, second = layout.candidates
    assert first.scan == first.participant == "a_01"
    assert first.images == (tmp_path / "imagesTr/a_01.nii.gz",)
    assert first.label == tmp_path / "labelsTr/a_01.nii.gz"
    assert first.last_axis == "channel"
    assert "no label map" in second.problem


def test_the_folders_of_nnunet_are_read(tmp_path):
    root = describe(tmp_path, NNUNET)
    for folder, names in {
        "imagesTr": ["c_1_0000", "c_1_0001", "d_0000", "e_0000", "e_0001", "._c_1_0000"],
        "labelsTr": ["c_1", "d", "f", "._c_1"],
    }.items():
        (root / folder).mkdir()
        for name in names:
            (root / folder / f"{name}.nii.gz").touch()
    layout = read_msd(root, "segmentation", DataSettings())
    assert layout.labels == {0: "background", 1: "front"}
    problems = {c.scan: c.problem for c in layout.candidates}
    assert problems == {
        "c_1": "",
        "d": "channel file d_0001.nii.gz is missing",
        "e": "labelsTr/e.nii.gz is missing",
        "f": "a label map without an image",
    }
    assert [p.name for p in layout.candidates[0].images] == ["c_1_0000.nii.gz", "c_1_0001.nii.gz"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modality": None}, "has no channels"),
        ({"modality": {"x": "T1"}}, "must be numbers"),
        ({"labels": {}}, "has no labels"),
        ({"labels": {"background": 0, "whole": [1, 2]}}, "regions"),
        ({"labels": {"background": 0, "ignore": 3}}, "ignore"),
        ({"labels": {"background": 0, "a": 1, "b": 1}}, "must be distinct"),
        ({"labels": {"a": "b"}}, "not a pair"),
        ({"training": [{"label": "x"}]}, "has no image"),
        ({"training": []}, "lists no training scans"),
    ],
)
def test_a_bad_description_is_named(tmp_path, change, words):
    with pytest.raises(UserError, match=words) as caught:
        read_msd(describe(tmp_path, MSD | change), "segmentation", DataSettings())
    assert "dataset.json" in str(caught.value)


def test_damaged_json_and_missing_images_are_named(tmp_path):
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(UserError, match="not readable JSON"):
        read_msd(tmp_path, "segmentation", DataSettings())
    with pytest.raises(UserError, match="file_ending"):
        read_msd(describe(tmp_path, NNUNET), "segmentation", DataSettings())
