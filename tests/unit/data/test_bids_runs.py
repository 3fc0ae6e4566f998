"""Runs of BIDS data sets: filters, derivatives, and associated files."""

import json

import pytest

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import DataSettings
from voxnas.data.bids import read_bids, repetition_time
from voxnas.data.bids_files import BidsFiles
from voxnas.data.bids_names import parse_name, same_value, source_of
from voxnas.data.filters import filter_images
from voxnas.data.index import LAYOUTS, index_layout, read_layout

PREPROC = "derivatives/fmriprep/sub-01/func/sub-01_task-rest_run-1"
FILES = [
    "sub-01/anat/sub-01_run-1_T1w.nii.gz",
    "sub-01/anat/sub-01_run-2_T1w.nii.gz",
    "sub-01/func/sub-01_task-rest_run-1_bold.nii.gz",
    "sub-01/func/sub-01_task-rest_run-2_bold.nii.gz",
    "sub-01/func/sub-01_task-nback_acq-fast_run-01_bold.nii.gz",
    "sub-01/func/sub-01_task-nback_run-01_events.tsv",
    "sub-02/ses-a/func/sub-02_ses-a_task-nback_run-1_bold.nii.gz",
    "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii.gz",
    "sub-02/ses-b/anat/sub-02_ses-b_T1w.nii.gz",
    "sub-02/ses-b/func/sub-02_ses-b_task-rest_bold.nii.gz",
    "task-nback_events.tsv",
    f"{PREPROC}_space-MNI_desc-preproc_bold.nii.gz",
    f"{PREPROC}_space-T1w_desc-preproc_bold.nii.gz",
    f"{PREPROC}_space-MNI_boldref.nii.gz",
    f"{PREPROC}_space-MNI_desc-brain_mask.nii.gz",
    f"{PREPROC}_space-T1w_desc-brain_mask.nii.gz",
    f"{PREPROC}_desc-brain_mask.nii.gz",
    f"{PREPROC}_desc-confounds_timeseries.tsv",
    "derivatives/fmriprep/sub-01/func/sub-01_task-rest_run-2_desc-confounds_timeseries.tsv",
]


@pytest.fixture
def tree(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "sub-01/anat/sub-01_run-1_T1w.nii.gz").write_text("")
    (tmp_path / "task-rest_bold.json").write_text('{"RepetitionTime": 2, "EchoTime": 0.03}')
    return tmp_path


def scans(root, **settings):
    layout = read_bids(root, None, DataSettings(suffix="bold", **settings))
    return {c.scan: c for c in layout.candidates}


def names(root, **filters):
    return list(scans(root, filters=filters))


def test_filters_by_entity(tree):
    assert names(tree, task="rest") == ["sub-01_task-rest_run-1", "sub-01_task-rest_run-2", "sub-02_ses-b_task-rest"]
    assert names(tree, task="rest", run=("1",)) == ["sub-01_task-rest_run-1"]
    assert names(tree, run="1", acq="") == ["sub-01_task-rest_run-1", "sub-02_ses-a_task-nback_run-1"]
    assert names(tree, run="01", sub="sub-01") == ["sub-01_task-nback_acq-fast_run-01", "sub-01_task-rest_run-1"]
    assert names(tree, ses=("a", "b")) == ["sub-02_ses-a_task-nback_run-1", "sub-02_ses-b_task-rest"]
    assert len(names(tree)) == 5


def test_a_filter_that_leaves_nothing_says_what_there_is(tree):
    with pytest.raises(UserError, match=r"data\.filters\.taks = 'rest': no image has the entity 'taks'.*'task'"):
        names(tree, taks="rest")
    with pytest.raises(UserError, match=r"task = 'rset'.*5 images that pass the other filters.*did you mean 'rest'\?"):
        names(tree, task="rset")
    with pytest.raises(UserError, match=r"run = '3'.*available: '' \(without it\), 1, 2"):
        names(tree, task="rest", run="3")


def test_values_are_compared_as_numbers_where_they_are():
    assert same_value("1", "01") and not same_value("1", "10") and not same_value("a1", "a01")
    assert filter_images([], {}) == []


def test_what_belongs_to_a_raw_run(tree):
    found = scans(tree)
    nback = found["sub-01_task-nback_acq-fast_run-01"]
    assert nback.events.name == "sub-01_task-nback_run-01_events.tsv"  # nearer than the one at the root
    assert found["sub-02_ses-a_task-nback_run-1"].events == tree / "task-nback_events.tsv"
    assert found["sub-01_task-rest_run-1"].events is None
    assert nback.anatomical.name == "sub-01_run-2_T1w.nii.gz"  # the other file is empty
    assert found["sub-02_ses-b_task-rest"].anatomical.name == "sub-02_ses-b_T1w.nii.gz"
    assert (nback.task, nback.run, nback.space, nback.preprocessed) == ("nback", "01", "", False)
    # Only the derivative's mask in the image's own space may be used.
    assert [m.name for m in found["sub-01_task-rest_run-1"].masks] == ["sub-01_task-rest_run-1_desc-brain_mask.nii.gz"]
    assert found["sub-01_task-rest_run-1"].confounds is None
    assert found["sub-01_task-rest_run-1"].sidecar == {"RepetitionTime": 2, "EchoTime": 0.03}


def test_preprocessed_images_come_with_masks_confounds_and_timing(tree):
    with pytest.raises(UserError, match=r"in 2 spaces: MNI, T1w. set data.filters.space"):
        scans(tree, images="fmriprep")
    found = scans(tree, images="fmriprep", filters={"space": "MNI"})
    assert list(found) == ["sub-01_task-rest_run-1_space-MNI_desc-preproc"]
    run = found["sub-01_task-rest_run-1_space-MNI_desc-preproc"]
    assert (run.space, run.preprocessed, run.repetition_time) == ("MNI", True, 2.0)
    assert [m.name for m in run.masks] == ["sub-01_task-rest_run-1_space-MNI_desc-brain_mask.nii.gz"]
    assert run.confounds.name == "sub-01_task-rest_run-1_desc-confounds_timeseries.tsv"
    assert run.anatomical.parent == tree / "sub-01/anat"
    assert run.sidecar == {"RepetitionTime": 2}  # what tells the timing; the echo time is not the derivative's
    (tree / f"{PREPROC}_space-MNI_desc-preproc_bold.json").write_text('{"RepetitionTime": 3}')
    assert scans(tree, images="fmriprep", filters={"space": "MNI"})[run.scan].repetition_time == 3.0
    with pytest.raises(UserError, match=r"data\.images = 'fmripre'.*did you mean 'fmriprep'"):
        scans(tree, images="fmripre")


def test_a_derivative_read_as_a_data_set_is_preprocessed(tree):
    root = tree / "derivatives/fmriprep"
    (root / "dataset_description.json").write_text('{"Name": "d", "DatasetType": "derivative"}')
    assert all(c.preprocessed for c in scans(root, filters={"space": "T1w"}).values())


def test_targets_of_participants_go_to_derivatives_too(tree):
    (tree / "participants.tsv").write_text("participant_id\tdx\tsite\nsub-01\ta\tX\n")
    settings = DataSettings(suffix="bold", images="fmriprep", target="dx", filters={"space": "MNI"})
    (run,) = read_bids(tree, "classification", settings).candidates
    assert (run.target, run.site) == ("a", "X")


def test_the_repetition_time_of_a_regular_volume_timing():
    assert repetition_time({"VolumeTiming": [0, 1.5, 3.0]}) == 1.5
    assert repetition_time({"VolumeTiming": [0, 1.5, 4.0]}) is None
    assert repetition_time({"RepetitionTime": 0}) is None


@pytest.mark.parametrize("text", ['"2"', "true", "1e999", "-1", "2000", "1" + 400 * "0", "[2]"])
def test_a_repetition_time_that_is_no_duration_excludes_the_run(tree, text):
    image = tree / "sub-01/func/sub-01_task-rest_run-1_bold.nii.gz"
    (image.parent / "sub-01_task-rest_run-1_bold.json").write_text(f'{{"RepetitionTime": {text}}}')
    problems = {c.scan: c.problem for c in read_bids(tree, None, DataSettings(suffix="bold")).candidates}
    assert problems.pop("sub-01_task-rest_run-1").startswith("RepetitionTime is ") and not any(problems.values())


@pytest.mark.parametrize(
    ("scan", "source"),
    [
        ("sub-01_task-rest_run-1_space-MNI_desc-preproc", "sub-01_task-rest_run-1"),
        ("sub-01_task-rest_run-1_echo-2", "sub-01_task-rest_run-1"),
        ("sub-01_acq-slice_run-1", "sub-01_acq-slice_run-1"),
        ("case_12", "case_12"),
    ],
)
def test_derivatives_and_echoes_have_the_source_of_their_scan(scan, source):
    assert source_of(scan) == source


def test_metadata_is_inherited_key_by_key_and_damage_is_told(tree):
    image = tree / "sub-01/func/sub-01_task-rest_run-1_bold.nii.gz"
    (tree / "bold.json").write_text('{"Manufacturer": "m", "EchoTime": 1}')
    (image.parent / "sub-01_task-rest_run-01_bold.json").write_text('{"EchoTime": 0.04}')
    (image.parent / "sub-01_task-rest_run-2_bold.json").write_text('{"EchoTime": 9}')
    assert BidsFiles(tree).sidecar(image) == {"RepetitionTime": 2, "EchoTime": 0.04, "Manufacturer": "m"}
    for text in (b"{broken", b"[1]", b'{"a": "\xe9"}', 100_000 * b"["):
        (tree / "sub-01" / "sub-01_bold.json").write_bytes(text)
        with pytest.raises(ScanError, match=r"sub-01_bold\.json"):
            BidsFiles(tree).sidecar(image)


# Suffix and number of the images of each tree, and the reason to exclude all of them (None: all are usable).
TREES = {
    "bids-examples_ds000117": ("bold", 9, "empty file (0 bytes)"),
    "bids-examples_ds003": ("bold", 13, "empty file (0 bytes)"),
    "bids-examples_ds114": ("bold", 20, "empty file (0 bytes)"),
    "bids-examples_synthetic": ("bold", 30, "the header requires 134 MB, but the file has 352 bytes"),
    "ivadomed_spine": ("T2w", 3, None),
    "pumi-minitest": ("bold", 1, None),
}


@pytest.mark.parametrize("name", TREES)
def test_the_real_trees_are_indexed_and_agree_with_pybids(data_root, name):
    bids = pytest.importorskip("bids")
    suffix, count, reason = TREES[name]
    root = data_root / "bids_robustness" / name
    settings = DataSettings(suffix=suffix)
    layout = read_layout(root, None, settings)
    index = index_layout(layout, None, settings)
    assert (len(index.scans), len(index.excluded)) == ((count, 0) if reason is None else (0, count))
    assert set(index.excluded["reason"]) == ({reason} if reason else set())

    judge = bids.BIDSLayout(root, validate=False)
    theirs = {f.path: f for f in judge.get(suffix=suffix, extension=[".nii", ".nii.gz"])}
    assert {str(c.images[0]) for c in layout.candidates} == theirs.keys()
    for candidate in layout.candidates:
        file, entities = theirs[str(candidate.images[0])], parse_name(candidate.images[0]).entities
        known = file.get_entities(metadata=False)
        for key, entity in {
            "sub": "subject",
            "ses": "session",
            "task": "task",
            "run": "run",
            "acq": "acquisition",
        }.items():
            assert same_value(str(known.get(entity, "")), entities.get(key, "")), (file.path, key)
        assert BidsFiles(root).sidecar(candidate.images[0]) == file.get_metadata()
        if suffix == "bold":
            events = judge.get_nearest(file.path, suffix="events", extension=".tsv", strict=False, **_same(known))
            assert str(candidate.events or "") == str(events or ""), file.path


def _same(entities):
    return {k: entities[k] for k in ("task",) if k in entities}


def test_derivatives_of_the_synthetic_tree(data_root):
    root = data_root / "bids_robustness" / "bids-examples_synthetic"
    found = scans(root, images="fmriprep", filters={"space": "T1w", "task": "nback", "run": "1", "ses": "01"})
    assert len(found) == 5
    run = found["sub-01_ses-01_task-nback_run-01_space-T1w_desc-preproc"]
    assert run.confounds.name == "sub-01_ses-01_task-nback_run-01_timeseries.tsv"
    assert [m.name for m in run.masks] == ["sub-01_ses-01_task-nback_run-01_space-T1w_label-brain_mask.nii"]
    assert run.events == root / "task-nback_events.tsv"
    assert run.repetition_time == 2.5


def test_every_real_tree_is_of_one_layout(data_root):
    for folder in [*(data_root / "bids_robustness").iterdir(), data_root / "haxby2001_bids", data_root / "abide_rois"]:
        assert sum(check(folder) for check in LAYOUTS.values()) == 1, folder
    assert json.loads((data_root / "abide_rois" / "columns.json").read_text())["cc200_columns"]
