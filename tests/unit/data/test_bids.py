from pathlib import Path

import pytest

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.bids import read_bids
from voxnas.data.bids_names import parse_name
from voxnas.data.label_maps import read_label_names
from voxnas.data.participants import read_participants

PEOPLE = (
    "participant_id\tcode\tage\tgroup\tsite\n"
    "sub-01\t007\t31.5\tpatient\tA\n"
    "02\t08\tn/a\tcontrol\tB\n"
    "sub-03\t9\told\t\tn/a\n"
)


@pytest.fixture
def tree(tmp_path):
    """Three participants of participants.tsv and one that is not in it; sub-02 has two sessions."""
    images = [
        "sub-01/anat/sub-01_T1w.nii.gz",
        "sub-02/ses-a/anat/sub-02_ses-a_T1w.nii",
        "sub-02/ses-b/anat/sub-02_ses-b_run-1_T1w.nii.gz",
        "sub-03/anat/sub-03_T1w.nii.gz",
        "sub-04/anat/sub-04_T1w.nii.gz",
        "sub-01/anat/sub-01_FLAIR.nii.gz",
        "sub-01/anat/._sub-01_T1w.nii.gz",
        "sub-01/func/sub-01_task-rest_bold.nii.gz",
        "derivatives/seg/sub-01/anat/sub-01_desc-x_dseg.nii.gz",
        "derivatives/seg/sub-02/ses-b/anat/sub-02_ses-b_run-1_dseg.nii.gz",
        "derivatives/seg/sub-03/anat/sub-03_space-MNI152_dseg.nii.gz",
        "derivatives/seg/sub-04/anat/sub-04_desc-x_dseg.nii.gz",
        "derivatives/seg/sub-04/anat/sub-04_desc-y_dseg.nii.gz",
        "derivatives/hand/sub-01/anat/sub-01_T1w_seg-manual.nii.gz",
        "derivatives/hand/sub-01/anat/sub-01_FLAIR_seg-manual.nii.gz",
    ]
    for image in images:
        (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / image).touch()
    (tmp_path / "participants.tsv").write_text(PEOPLE)
    return tmp_path


def scans(layout):
    return {c.scan: c for c in layout.candidates}


@pytest.mark.parametrize(
    ("name", "entities", "suffix"),
    [
        ("sub-01_ses-a_run-1_T1w.nii.gz", {"sub": "01", "ses": "a", "run": "1"}, "T1w"),
        ("sub-unf01_T1w_seg-manual.nii.gz", {"sub": "unf01"}, "T1w_seg-manual"),
        ("sub-unf01_T2w_labels-disc-manual.json", {"sub": "unf01"}, "T2w_labels-disc-manual"),
        ("task-rest_bold.json", {"task": "rest"}, "bold"),
        ("T1w.json", {}, "T1w"),
    ],
)
def test_names_are_taken_apart(name, entities, suffix):
    parsed = parse_name(Path(name))
    assert (parsed.entities, parsed.suffix) == (entities, suffix)


def test_images_are_found_with_session_and_site(tree):
    layout = read_bids(tree, None, DataSettings())
    found = scans(layout)
    assert list(found) == ["sub-01", "sub-02_ses-a", "sub-02_ses-b_run-1", "sub-03", "sub-04"]
    assert [c.participant for c in found.values()] == ["sub-01", "sub-02", "sub-02", "sub-03", "sub-04"]
    assert [c.session for c in found.values()] == ["", "a", "b", "", ""]
    assert [c.site for c in found.values()] == ["A", "B", "B", "", ""]
    assert layout.name == tree.name
    assert layout.channels == ["T1w"]


def test_an_unknown_suffix_names_those_that_exist(tree):
    with pytest.raises(UserError, match=r"did you mean 'T1w'\? available: FLAIR, T1w, bold"):
        read_bids(tree, None, DataSettings(suffix="T1"))


def test_participants_keep_leading_zeros_and_missing_is_none(tree):
    people = read_participants(tree)
    assert people["sub-01"]["code"] == "007"
    assert people["sub-02"]["age"] is None
    assert people["sub-03"]["group"] is None
    (tree / "participants.tsv").write_text(PEOPLE + "sub-01\t1\t2\tx\tC\n")
    with pytest.raises(UserError, match="sub-01 has two rows"):
        read_participants(tree)


def test_targets_and_reasons(tree):
    found = scans(read_bids(tree, "classification", DataSettings(target="group")))
    assert (found["sub-01"].target, found["sub-02_ses-a"].target) == ("patient", "control")
    assert found["sub-03"].problem == "group of sub-03 is missing (n/a)"
    assert found["sub-04"].problem == "participants.tsv has no row for sub-04"
    codes = scans(read_bids(tree, "classification", DataSettings(target="code")))
    assert codes["sub-02_ses-a"].target == "08"
    ages = scans(read_bids(tree, "regression", DataSettings(target="age")))
    assert ages["sub-01"].target == "31.5"
    assert "missing (n/a)" in ages["sub-02_ses-a"].problem
    assert ages["sub-03"].problem == "age of sub-03 is 'old', not a number"


def test_a_wrong_column_names_the_nearest(tree):
    with pytest.raises(UserError, match=r"no column 'gruop'.*did you mean 'group'\? available: age, code, group, site"):
        read_bids(tree, "classification", DataSettings(target="gruop"))
    (tree / "participants.tsv").unlink()
    with pytest.raises(UserError, match=r"participants\.tsv does not exist"):
        read_bids(tree, "regression", DataSettings(target="age"))


def test_label_maps_are_matched_by_entities(tree):
    found = scans(read_bids(tree, "segmentation", DataSettings(derivatives="seg")))
    assert found["sub-01"].label.name == "sub-01_desc-x_dseg.nii.gz"
    assert found["sub-02_ses-b_run-1"].label.name == "sub-02_ses-b_run-1_dseg.nii.gz"
    assert found["sub-02_ses-a"].problem == "no label map *_dseg.nii.gz for this image"
    assert "no label map" in found["sub-03"].problem  # the one there is lies in another space
    assert found["sub-04"].problem.startswith("2 label maps match")


def test_labels_named_after_their_image_are_matched(tree):
    found = scans(read_bids(tree, "segmentation", DataSettings(label_suffix="seg-manual")))
    assert found["sub-01"].label.name == "sub-01_T1w_seg-manual.nii.gz"
    flair = scans(read_bids(tree, "segmentation", DataSettings(suffix="FLAIR", label_suffix="seg-manual")))
    assert flair["sub-01"].label.name == "sub-01_FLAIR_seg-manual.nii.gz"


def test_derivatives_must_be_clear(tree):
    with pytest.raises(UserError, match=r"sge does not exist.*did you mean 'seg'"):
        read_bids(tree, "segmentation", DataSettings(derivatives="sge"))
    with pytest.raises(UserError, match=r"did you mean 'seg-manual'\? available: dseg, seg-manual"):
        read_bids(tree, "segmentation", DataSettings(label_suffix="seg-manuel"))
    other = tree / "derivatives/other/sub-01/anat/sub-01_dseg.nii.gz"
    other.parent.mkdir(parents=True)
    other.touch()
    with pytest.raises(UserError, match=r"set data\.derivatives to one of other, seg"):
        read_bids(tree, "segmentation", DataSettings())


def test_label_names_come_from_a_table(tree):
    folder = tree / "derivatives" / "seg"
    assert read_label_names(folder, [], "dseg") == {}
    (folder / "desc-x_dseg.tsv").write_text("index\tname\tcolor\n2\tgrey\t#fff\n10\twhite\t#000\n")
    assert read_label_names(folder, [], "dseg") == {0: "background", 2: "grey", 10: "white"}
    beside = folder / "sub-01" / "anat" / "sub-01_dseg.tsv"
    beside.write_text("index\tname\n2\tother\n")
    with pytest.raises(UserError, match=r"label 2 is 'other' here and 'grey' elsewhere"):
        read_label_names(folder, [beside.with_suffix(".nii.gz")], "dseg")


def test_the_suffix_or_the_sidecar_defines_a_time_axis(tree):
    assert scans(read_bids(tree, None, DataSettings()))["sub-01"].last_axis == "none"
    (tree / "T1w.json").write_text('{"VolumeTiming": [0, 2]}')
    assert scans(read_bids(tree, None, DataSettings()))["sub-01"].last_axis == "time"
    (tree / "task-rest_bold.json").write_text('{"RepetitionTime": 3}')
    bold = scans(read_bids(tree, None, DataSettings(suffix="bold")))["sub-01_task-rest"]
    assert (bold.last_axis, bold.repetition_time) == ("time", 3)


def test_a_session_has_a_target_of_its_own(tree):
    (tree / "sub-02" / "sub-02_sessions.tsv").write_text("session_id\tage\tscore\nses-a\t40\t1.5\nb\t41\tn/a\n")
    settings = DataSettings(target="score")
    found = scans(read_bids(tree, "regression", settings))
    assert found["sub-02_ses-a"].target == "1.5"
    assert found["sub-02_ses-b_run-1"].problem == "score of sub-02 is missing (n/a)"
    assert found["sub-01"].problem == "score of sub-01 is missing (n/a)"
    ages = scans(read_bids(tree, "regression", DataSettings(target="age")))
    assert [ages[s].target for s in ("sub-01", "sub-02_ses-a", "sub-02_ses-b_run-1")] == ["31.5", "40", "41"]
    with pytest.raises(UserError, match=r"no column 'score' .*age, code, group"):
        read_bids(tree, "regression", settings, unit="participant")
