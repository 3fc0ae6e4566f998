import json

import nibabel as nib
import numpy as np
import pytest

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import DataSettings
from voxnas.data.index import find_layout, index_dataset, index_files, index_layout, read_layout
from voxnas.data.scan_rows import COLUMNS

SHAPE = (8, 9, 7)


def save(path, array=None, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    if array is None:
        array = np.random.default_rng(0).integers(1, 99, SHAPE).astype(np.int16)
    nib.save(nib.Nifti1Image(array, np.eye(4) if affine is None else affine), path)
    return path


def label(value=1, shape=SHAPE, dtype=np.uint8):
    array = np.zeros(shape, dtype)
    array[2, 2, 2] = value
    return array


def msd(root, pairs, channels=1, **extra):
    """Write an MSD data set of {case: (image array, label array or None, label affine)}."""
    training = []
    for case, (image, mask, affine) in pairs.items():
        save(root / f"imagesTr/{case}.nii.gz", image)
        if mask is not None:
            save(root / f"labelsTr/{case}.nii.gz", mask, affine)
        training.append({"image": f"imagesTr/{case}.nii.gz", "label": f"labelsTr/{case}.nii.gz"})
    description = {
        "name": "Toy",
        "modality": {str(i): f"c{i}" for i in range(channels)},
        "labels": {"0": "background", "1": "front"},
        "training": training,
        **extra,
    }
    (root / "dataset.json").write_text(json.dumps(description))
    return root


def reasons(index):
    return dict(zip(index.excluded["scan"], index.excluded["reason"], strict=True))


def test_good_scans_are_indexed_with_their_facts(tmp_path):
    index = index_dataset(msd(tmp_path, {"b": (None, label(), None), "a": (None, label(0), None)}), "segmentation",
                          DataSettings())  # fmt: skip
    assert list(index.scans.columns) == COLUMNS
    assert index.scans["scan"].tolist() == ["a", "b"]
    row = index.scans.iloc[1]
    assert (row["shape"], row["spacing"], row["orientation"], row["dtype"]) == ("8x9x7", "1x1x1", "RAS", "int16")
    assert (row["channels"], row["frames"]) == (1, 1)
    assert row["image"] == str(tmp_path / "imagesTr/b.nii.gz")
    assert index.scans["warnings"].fillna("").tolist() == ["the label map is empty (no foreground)", ""]
    assert index.values == {"a": [0], "b": [0, 1]}
    assert index.dataset == {
        "schema_version": 1,
        "name": "Toy",
        "layout": "msd",
        "task": "segmentation",
        "channels": ["c0"],
        "labels": {"0": "background", "1": "front"},
        "classes": [],
        "target": "",
        "scans": 2,
        "excluded": 0,
        "identified": False,
        "doubt": "",
    }


def test_the_digest_tells_image_and_label_apart(tmp_path):
    root = msd(tmp_path, {"a": (None, label(), None), "b": (None, label(0), None)})
    first = index_dataset(root, "segmentation", DataSettings()).scans.set_index("scan")["sha256"]
    assert first["a"] != first["b"]
    save(root / "labelsTr/a.nii.gz", label(0))
    second = index_dataset(root, "segmentation", DataSettings()).scans.set_index("scan")["sha256"]
    assert second["a"] == second["b"] == first["b"]


def test_bad_scans_are_left_out_by_reason_and_the_rest_goes_on(tmp_path):
    shifted, slightly = np.eye(4), np.eye(4)
    shifted[0, 3], slightly[0, 3] = 25, 0.4
    root = msd(
        tmp_path,
        {
            "good": (None, label(), None),
            "slightly": (None, label(), slightly),
            "noise": (None, label(1.0001, dtype=np.float32), None),
            "shape": (None, label(shape=(6, 9, 7)), None),
            "shift": (None, label(), shifted),
            "half": (None, label(0.5, dtype=np.float32), None),
            "unknown": (None, label(255), None),
            "negative": (None, label(-1, dtype=np.int16), None),
            "missing": (None, None, None),
            "four": (np.ones((*SHAPE, 3), np.int16), label(), None),
        },
    )
    (root / "imagesTr/good2.nii.gz").write_bytes(b"")
    index = index_dataset(root, "segmentation", DataSettings())
    assert index.scans["scan"].tolist() == ["good", "noise", "slightly"]
    told = reasons(index)
    assert told["shape"] == "shape 6x9x7 differs from 8x9x7 of shape.nii.gz"
    assert told["shift"] == "lies 25 voxels away from shift.nii.gz (their affines differ)"
    assert told["half"].startswith("fractional label values")
    assert told["unknown"] == "label value 255 is not one of 0, 1"
    assert told["negative"] == "negative label value -1"
    assert told["missing"] == "no such file"
    assert told["four"] == "3 channel(s) in the last axis, but dataset.json has 1"
    files = index.excluded.set_index("scan")["file"]
    assert files["shape"].endswith("labelsTr/shape.nii.gz")
    assert files["four"].endswith("imagesTr/four.nii.gz")
    assert index.dataset["excluded"] == 7
    with pytest.raises(ScanError, match=r"four\.nii\.gz"):
        index_dataset(root, "segmentation", DataSettings(strict=True))


def test_channels_of_one_file_and_of_many(tmp_path):
    two = np.random.default_rng(0).integers(1, 9, (*SHAPE, 2)).astype(np.int16)
    index = index_dataset(msd(tmp_path / "m", {"a": (two, label(), None), "b": (None, label(), None)}, 2),
                          "segmentation", DataSettings())  # fmt: skip
    assert index.scans[["scan", "channels", "frames"]].values.tolist() == [["a", 2, 1]]
    assert reasons(index)["b"] == "1 channel(s) in the last axis, but dataset.json has 2"

    root = tmp_path / "n"
    root.mkdir()
    description = {"channel_names": {"0": "T1", "1": "T2"}, "labels": {"background": 0, "front": 1}}
    (root / "dataset.json").write_text(json.dumps(description))
    moved = np.diag([1, 1, 2, 1])
    for case in ("a", "b", "c"):
        save(root / f"imagesTr/{case}_0000.nii.gz")
        save(root / f"labelsTr/{case}.nii.gz", label())
    save(root / "imagesTr/a_0001.nii.gz")
    save(root / "imagesTr/b_0001.nii.gz", affine=moved)
    save(root / "imagesTr/c_0001.nii.gz", np.ones((8, 9, 8), np.int16))
    index = index_dataset(root, "segmentation", DataSettings())
    assert index.scans["channels"].tolist() == [2]
    assert index.scans["image"][0] == f"{root}/imagesTr/a_0000.nii.gz;{root}/imagesTr/a_0001.nii.gz"
    assert "voxels away from b_0000" in reasons(index)["b"]
    assert reasons(index)["c"] == "shape 8x9x8 differs from 8x9x7 of c_0000.nii.gz"


@pytest.fixture
def cohort(tmp_path):
    for sub in ("01", "02", "03"):
        save(tmp_path / f"sub-{sub}/anat/sub-{sub}_T1w.nii.gz")
        save(tmp_path / f"derivatives/d/sub-{sub}/anat/sub-{sub}_dseg.nii.gz", label(int(sub)))
    (tmp_path / "participants.tsv").write_text("participant_id\tdx\tone\nsub-01\tb\tx\nsub-02\ta\tx\nsub-03\tn/a\tx\n")
    return tmp_path


def test_bids_classification(cohort):
    index = index_dataset(cohort, "classification", DataSettings(target="dx"))
    assert index.scans["target"].tolist() == ["b", "a"]
    assert index.scans["label"].isna().all()
    assert index.dataset["classes"] == ["a", "b"]
    assert index.dataset["labels"] == {}
    assert "missing (n/a)" in reasons(index)["sub-03"]
    with pytest.raises(UserError, match="has one class, 'x'"):
        index_dataset(cohort, "classification", DataSettings(target="one"))


def test_bids_label_names_from_the_values_or_from_a_table(cohort):
    index = index_dataset(cohort, "segmentation", DataSettings())
    assert index.dataset["labels"] == {"0": "background", "1": "label 1", "2": "label 2", "3": "label 3"}
    (cohort / "derivatives/d/dseg.tsv").write_text("index\tname\n1\tone\n2\ttwo\n")
    index = index_dataset(cohort, "segmentation", DataSettings())
    assert index.dataset["labels"] == {"0": "background", "1": "one", "2": "two"}
    assert reasons(index) == {"sub-03": "label value 3 is not one of 0, 1, 2"}


def test_the_fourth_axis_is_never_guessed(cohort):
    save(cohort / "sub-01/anat/sub-01_T1w.nii.gz", np.ones((*SHAPE, 2), np.int16))
    save(cohort / "sub-02/anat/sub-02_T1w.nii.gz", np.arange(np.prod(SHAPE), dtype=np.int16).reshape(*SHAPE, 1))
    series = np.random.default_rng(0).integers(1, 99, (*SHAPE, 10)).astype(np.int16)
    series[..., 4] = 0
    save(cohort / "sub-01/func/sub-01_task-rest_bold.nii.gz", series)
    told = index_dataset(cohort, "segmentation", DataSettings())
    assert reasons(told) == {"sub-01": "4D with 2 volumes, but this kind of image has no time axis"}
    assert told.scans["shape"].tolist() == ["8x9x7", "8x9x7"]
    settings = DataSettings(suffix="bold")
    bold = index_layout(read_layout(cohort, None, settings), None, settings).scans.iloc[0]
    assert (bold["channels"], bold["frames"]) == (1, 10)
    assert bold["warnings"].split(";") == ["volume 4 all zero (dropped)"]


def test_only_unusable_scans_end_with_the_reason(tmp_path):
    root = msd(tmp_path, {"a": (None, label(9), None)})
    with pytest.raises(UserError, match=r"none of 1 scans can be used; a .*label value 9 .*voxnas validate"):
        index_dataset(root, "segmentation", DataSettings())


def test_repeated_ids_are_an_error(cohort):
    save(cohort / "sub-01/anat/sub-01_T1w.nii")
    with pytest.raises(UserError, match=r"two images have the identifier 'sub-01'"):
        index_dataset(cohort, "segmentation", DataSettings())


def test_a_link_to_content_that_is_not_here_is_left_out(cohort):
    image = cohort / "sub-02/anat/sub-02_T1w.nii.gz"
    image.unlink()
    image.symlink_to(cohort / ".git/annex/objects/x")
    assert reasons(index_dataset(cohort, "segmentation", DataSettings()))["sub-02"].startswith(
        "a link to missing content"
    )


def test_the_folder_inside_the_root_is_used_where_it_exists(tmp_path):
    inner = tmp_path / "Task"
    inner.mkdir()
    msd(inner, {"a": (None, label(), None)})
    for root in (tmp_path, inner):
        assert len(index_dataset(root, "segmentation", DataSettings(folder="Task")).scans) == 1
    with pytest.raises(UserError, match="its folders Task are data sets"):
        find_layout(tmp_path)
    with pytest.raises(UserError, match=r"no folders sub-\* \(BIDS\)"):
        find_layout(inner, "bids")
    with pytest.raises(UserError, match="is not a folder"):
        index_dataset(tmp_path / "no", "segmentation", DataSettings())
    with pytest.raises(UserError, match=r"participants\.tsv does not exist"):
        index_dataset(inner, "regression", DataSettings(target="age"))


def test_files_of_no_data_set_are_indexed_one_by_one(tmp_path):
    files = [save(tmp_path / "x.nii.gz"), save(tmp_path / "d/x.nii.gz"), save(tmp_path / "y.nii", np.zeros((9, 9)))]
    index = index_files(files)
    assert index.scans["scan"].tolist() == sorted([str(files[0]), str(files[1])])
    assert reasons(index) == {"y": "a 2D image (9x9), a volume is required"}


def test_the_pairs_of_the_manifest(data_root, tmp_path):
    pairs = data_root / "nifti_robustness" / "pairs"
    labels = {"0": "background", "1": "Anterior", "2": "Posterior"}
    names = ["shape_mismatch", "affine_mismatch"]
    training = [{"image": str(pairs / f"{n}_image.nii.gz"), "label": str(pairs / f"{n}_label.nii.gz")} for n in names]
    for name in ("float", "interpolated", "unknown_class", "empty", "negative"):
        image = tmp_path / "imagesTr" / f"{name}.nii.gz"
        image.parent.mkdir(exist_ok=True)
        image.symlink_to(pairs / "shape_mismatch_image.nii.gz")
        training.append({"image": str(image), "label": str(pairs / f"{name}_label.nii.gz")})
    listed = {p.name for p in pairs.iterdir()}
    assert listed == {p.split("/")[-1] for e in training for p in e.values() if str(pairs) in p}
    msd(tmp_path, {}, labels=labels, training=training)
    index = index_dataset(tmp_path, "segmentation", DataSettings())
    assert dict(zip(index.scans["scan"], index.scans["warnings"].notna(), strict=True)) == {
        "empty": True,
        "float": False,
    }
    assert index.values["float"] == [0, 1, 2]
    told = reasons(index)
    assert "shape 33x51x35 differs from 35x51x35" in told["shape_mismatch_image"]
    assert "lies 43.3 voxels away" in told["affine_mismatch_image"]
    assert "fractional" in told["interpolated"]
    assert "255" in told["unknown_class"]
    assert told["negative"].startswith(("negative", "label value 255"))


def test_real_data_sets(data_root):
    index = index_dataset(data_root, "regression", DataSettings(folder="depression_t1w_bids", target="age"))
    assert len(index.scans) == 48
    assert index.excluded.empty
    spine = DataSettings(folder="bids_robustness/ivadomed_spine", suffix="T2w", label_suffix="seg-manual")
    index = index_dataset(data_root, "segmentation", spine)
    assert index.scans["scan"].tolist() == ["sub-unf01"]
    assert len(index.excluded) == 2
