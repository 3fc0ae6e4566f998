"""The index of runs: columns, shards, files and exclusions."""

import json
import shutil

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.cli.main import main
from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings, StudySettings, parse_settings
from voxnas.core.spec import stage_spec
from voxnas.data.index import index_dataset, index_shard
from voxnas.data.index_files import read_index, write_index
from voxnas.data.scan_rows import COLUMNS
from voxnas.io.records import read_json, write_json

SHAPE, FRAMES = (6, 7, 5), 8
EVENTS = "onset\tduration\ttrial_type\tlevel\n0\t2\tface\t1\n6\t2\thouse\t2\n"


def save(path, array, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = nib.Nifti1Image(array, np.diag([3, 3, 3, 1]) if affine is None else affine)
    image.header.set_xyzt_units("mm", "msec")
    if array.ndim == 4:
        image.header["pixdim"][4] = 2000
    nib.save(image, path)
    return path


@pytest.fixture
def tree(tmp_path):
    """Two participants with three runs each, one mask, one T1w image each, and events for all but one."""
    rng = np.random.default_rng(0)
    root = tmp_path / "data"
    for sub in ("01", "02"):
        save(root / f"sub-{sub}/anat/sub-{sub}_T1w.nii.gz", rng.integers(0, 99, SHAPE).astype(np.int16))
        for run in (1, 2, 3):
            stem = root / f"sub-{sub}/func/sub-{sub}_task-faces_run-{run}"
            save(stem.with_name(stem.name + "_bold.nii.gz"), rng.integers(1, 99, (*SHAPE, FRAMES)).astype(np.int16))
            if (sub, run) != ("02", 3):
                stem.with_name(stem.name + "_events.tsv").write_text(EVENTS)
    mask = np.ones(SHAPE, np.uint8)
    moved = np.diag([3.0, 3, 3, 1])
    moved[0, 3] = 90
    save(root / "derivatives/masks/sub-01/func/sub-01_desc-brain_mask.nii.gz", mask)
    save(root / "derivatives/masks/sub-02/func/sub-02_desc-brain_mask.nii.gz", mask, moved)
    (root / "task-faces_bold.json").write_text('{"RepetitionTime": 2.0, "TaskName": "faces"}')
    (root / "participants.tsv").write_text("participant_id\tdx\nsub-01\ta\nsub-02\tb\n")
    return root


SETTINGS = DataSettings(suffix="bold", target="trial_type")


def index(root, unit="volume", shards=1, settings=SETTINGS):
    return index_dataset(root, "classification", settings, unit=unit, shards=shards)


def test_a_row_of_a_run(tree):
    found = index(tree)
    assert list(found.scans.columns) == COLUMNS
    row = found.scans.set_index("scan").loc["sub-01_task-faces_run-2"]
    assert (row["task"], row["run"], row["frames"], row["repetition_time"]) == ("faces", "2", 8, 2.0)
    assert row["events"].endswith("sub-01_task-faces_run-2_events.tsv")
    assert row["anatomical"].endswith("sub-01_T1w.nii.gz")
    assert row["mask"].endswith("sub-01_desc-brain_mask.nii.gz")
    assert row["preprocessed"] == "no"
    assert row[["confounds", "space", "target", "session"]].isna().all()
    assert pd.isna(found.scans.set_index("scan").loc["sub-02_task-faces_run-1", "mask"])  # it lies elsewhere
    assert found.dataset["classes"] == ["face", "house"]
    assert found.dataset["target"] == "trial_type"
    assert found.excluded["scan"].tolist() == ["sub-02_task-faces_run-3"]
    assert "no *_events.tsv applies to this run, and clips.unit is volume" in found.excluded["reason"][0]
    assert found.sidecars["sub-01_task-faces_run-1"] == {"RepetitionTime": 2.0, "TaskName": "faces"}


def test_the_column_of_the_events_is_the_target(tree):
    found = index(tree, settings=DataSettings(suffix="bold", target="level"))
    assert found.dataset["classes"] == ["1", "2"]
    with pytest.raises(
        UserError, match=r"none of 6 scans.*has no column 'levle' \(data.target\).*did you mean 'level'"
    ):
        index(tree, settings=DataSettings(suffix="bold", target="levle"))
    default = DataSettings(suffix="bold")
    assert index(tree, settings=default).dataset["target"] == "trial_type"


def test_runs_have_the_targets_of_their_participants(tree):
    found = index(tree, "run", settings=DataSettings(suffix="bold", target="dx"))
    assert found.scans["target"].tolist() == ["a"] * 3 + ["b"] * 3
    assert found.dataset["classes"] == ["a", "b"]
    assert "unit" not in found.dataset


def test_shards_make_the_same_index(tree, tmp_path):
    whole = index(tree)
    write_index(tmp_path / "whole", whole)
    for shards in (2, 4, 9):
        write_index(tmp_path / str(shards), index(tree, shards=shards))
        for name in ("scans.tsv", "excluded.tsv", "dataset.json", "sidecars.json"):
            assert (tmp_path / str(shards) / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    limited = DataSettings(suffix="bold", target="trial_type", limit=3)
    first = index(tree, settings=limited).scans["participant"].tolist()
    assert len(set(first)) == 1
    assert index(tree, shards=3, settings=limited).scans["participant"].tolist() == first
    with pytest.raises(UserError, match=r"data\.limit leaves no scan"):
        index(tree, settings=DataSettings(suffix="bold", target="trial_type", limit=2))


def test_an_index_comes_back_from_its_files(tree, tmp_path):
    whole = index(tree)
    write_index(tmp_path, whole)
    back = read_index(tmp_path)
    pd.testing.assert_frame_equal(back.scans.fillna("?"), whole.scans.astype(back.scans.dtypes).fillna("?"))
    assert (back.dataset, back.sidecars) == (whole.dataset, whole.sidecars)


def test_the_verb_by_shards(tree, tmp_path, capsys):
    raw = {"study": "s", "task": "classification", "data_root": str(tree), "clips": {"unit": "volume", "delay": 5.0}}
    settings = parse_settings({**raw, "data": {"suffix": "bold", "target": "trial_type"}})
    write_json(tmp_path / "spec.json", stage_spec(settings, "index"))
    common = ["index", "--spec", tmp_path / "spec.json", "--data", tree]
    assert main([*map(str, common), "--output", str(tmp_path / "whole")]) == 0
    parts = [tmp_path / "shards" / str(i) for i in range(3)]
    for i, part in enumerate(parts):
        assert main([*map(str, common), "--output", str(part), "--shard", str(i), "--shards", "3"]) == 0
    capsys.readouterr()
    assert main([*map(str, common), "--output", str(tmp_path / "merged"), "--parts", *map(str, parts)]) == 0
    told = capsys.readouterr()
    assert told.out == "5 scans indexed, 1 excluded\n"
    assert told.err.startswith("excluded sub-02_task-faces_run-3 (")
    for name in ("scans.tsv", "excluded.tsv", "dataset.json", "sidecars.json"):
        assert (tmp_path / "merged" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "target"), [("bids-examples_ds114", "dominant_hand"), ("bids-examples_synthetic", "sex")]
)
def test_a_tree_without_a_whole_image_is_listed_before_it_is_refused(data_root, tmp_path, capsys, name, target):
    root = data_root / "bids_robustness" / name
    settings = parse_settings({"study": "s", "data_root": str(root), "data": {"suffix": "bold", "target": target},
                               "task": "classification"})  # fmt: skip
    write_json(tmp_path / "spec.json", stage_spec(settings, "index"))
    arguments = ["--spec", tmp_path / "spec.json", "--data", root, "--output", tmp_path / "index", "--shards", "3"]
    assert main(["index", *map(str, arguments)]) == 2
    told = capsys.readouterr().err.splitlines()
    count = len(list(root.glob("sub-*/ses-*/func/*_bold.nii*")))
    assert sum(line.startswith("excluded sub-") for line in told) == count
    assert f"none of {count} scans can be used" in told[-1]


def test_a_shard_without_scans_is_no_mistake(tree):
    part = index_shard(tree, "classification", SETTINGS, 0, "volume", 7, 9)
    assert part.scans.empty and part.excluded.empty


def test_content_is_of_the_voxels_and_not_of_the_file(tree):
    source = tree / "sub-01/func/sub-01_task-faces_run-1_bold.nii.gz"
    image = nib.load(source)
    copy = tree / "sub-02/func/sub-02_task-faces_run-2_bold.nii.gz"
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj).astype(np.float32), image.affine), copy)
    shutil.copy(tree / "sub-01/anat/sub-01_T1w.nii.gz", tree / "sub-02/anat/sub-02_T1w.nii.gz")
    scans = index(tree).scans.set_index("scan")
    a, b, c = scans.loc[["sub-01_task-faces_run-1", "sub-02_task-faces_run-2", "sub-02_task-faces_run-1"]].itertuples()
    assert a.content == b.content != c.content
    assert a.sha256 != b.sha256
    assert a.anatomical_sha256 == c.anatomical_sha256
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 4), np.int16), image.affine), copy)
    assert "all voxels are 1" in index(tree).excluded.set_index("scan")["reason"][b.Index]


def test_the_digest_counts_what_the_arrays_are_made_from(tree):
    def digests():
        return index(tree).scans.set_index("scan")["sha256"]

    before = digests()
    (tree / "sub-01/func/sub-01_task-faces_run-1_events.tsv").write_text(EVENTS + "10\t1\tface\t1\n")
    after = digests()
    assert (before != after).tolist() == [True, False, False, False, False]


def test_a_missing_anatomy_is_told(tree):
    (tree / "sub-01/anat/sub-01_T1w.nii.gz").write_bytes(b"")
    told = index(tree).scans.set_index("scan")["warnings"]
    assert told["sub-01_task-faces_run-1"].startswith("no T1w image of this participant;")
    # Two blocks of events are few in every run of this tree.
    assert told["sub-02_task-faces_run-1"].startswith("2 blocks of events: a standardisation of so short a run")


def test_a_run_of_one_volume_is_left_out(tree):
    save(tree / "sub-01/func/sub-01_task-faces_run-1_bold.nii.gz", np.ones(SHAPE, np.int16))
    assert (
        "one volume, a run has several" in index(tree).excluded.set_index("scan")["reason"]["sub-01_task-faces_run-1"]
    )


def test_a_preprocessed_run_tells_what_is_missing_beside_it(tree):
    folder = tree / "derivatives/prep/sub-01/func"
    stem = "sub-01_task-faces_run-1_space-MNI_desc-preproc_bold.nii.gz"
    save(folder / stem, np.random.default_rng(1).integers(1, 99, (*SHAPE, FRAMES)).astype(np.int16))
    settings = DataSettings(suffix="bold", target="trial_type", images="prep")
    (row,) = index(tree, settings=settings).scans.itertuples()
    assert (row.space, row.preprocessed, row.repetition_time) == ("MNI", "yes", 2.0)
    assert row.events.endswith("sub-01_task-faces_run-1_events.tsv")
    assert row.warnings.split(";")[:-1] == [
        "no brain mask beside the preprocessed image",
        "no table of confounds (*_desc-confounds_timeseries.tsv) beside the preprocessed image",
    ]


def test_images_of_other_kinds_have_no_sidecars(tree, tmp_path):
    write_json(tmp_path / "spec.json", stage_spec(StudySettings(task="classification"), "index"))
    (tree / "participants.tsv").write_text("participant_id\tgroup\nsub-01\ta\nsub-02\tb\n")
    arguments = ["--spec", tmp_path / "spec.json", "--data", tree, "--output", tmp_path / "index"]
    assert main(["index", *map(str, arguments)]) == 0
    assert not (tmp_path / "index/sidecars.json").exists()
    assert json.loads((tmp_path / "index/dataset.json").read_text())["classes"] == ["a", "b"]
    assert read_json(tmp_path / "index/dataset.json")["scans"] == 2


def test_haxby(data_root):
    settings = DataSettings(folder="haxby2001_bids", suffix="bold", target="trial_type", filters={"acq": "25mm"})
    found = index_dataset(data_root, "classification", settings, unit="volume")
    assert len(found.scans) == 12 and found.excluded.empty
    assert len(found.dataset["classes"]) == 8
    assert set(found.scans["frames"]) == {121} and set(found.scans["repetition_time"]) == {2.5}
    assert all(m.endswith("res-25mm_desc-brain_mask.nii.gz") for m in found.scans["mask"])
    assert all("_run-" in c and c.endswith("desc-confounds_timeseries.tsv") for c in found.scans["confounds"])
    assert found.scans["run"].tolist() == [f"{i:02d}" for i in range(1, 13)]
