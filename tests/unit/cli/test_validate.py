import json

import nibabel as nib
import numpy as np
import pytest

from voxnas.cli.main import main


def save(path, shape=(8, 9, 7), value=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(0).integers(0, 2, shape) if value is None else np.full(shape, value)
    nib.save(nib.Nifti1Image(array.astype(np.int16), np.diag([1, 1, 2.5, 1])), path)
    return path


@pytest.fixture
def cohort(tmp_path):
    for sub in ("01", "02"):
        save(tmp_path / f"sub-{sub}/anat/sub-{sub}_T1w.nii.gz")
        save(tmp_path / f"derivatives/d/sub-{sub}/anat/sub-{sub}_dseg.nii.gz")
    (tmp_path / "participants.tsv").write_text("participant_id\tdx\nsub-01\tpatient\nsub-02\tcontrol\n")
    return tmp_path


def run(capsys, *arguments):
    status = main(["validate", *map(str, arguments)])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_a_sound_data_set(cohort, capsys):
    status, out, err = run(capsys, cohort)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{cohort.name} (BIDS), segmentation: 0 background, 1 label 1"
    assert lines[2].split() == ["scan", "shape", "spacing", "mm", "axes", "type", "labels"]
    assert lines[3].split() == ["sub-01", "8x9x7", "1x1x2.5", "RAS", "int16", "0,1"]
    assert lines[-3].startswith("  no study: 1 participants are too few")  # the two share an image
    assert lines[-1] == "2 usable (0 with warnings), 0 excluded"


def test_what_a_study_of_this_size_can_show(cohort, capsys):
    for sub in range(3, 16):
        save(cohort / f"sub-{sub:02d}/anat/sub-{sub:02d}_T1w.nii.gz", shape=(8, 9, 5 + sub))
    rows = "".join(f"sub-{sub:02d}\t{'ab'[sub % 2]}\n" for sub in range(1, 16))
    (cohort / "participants.tsv").write_text(f"participant_id\tdx\n{rows}")
    out = run(capsys, cohort, "--target", "dx")[1]
    assert "The locked test split has 3 scans of 3 participants; 5 folds have 2 to 3 participants each." in out
    assert "too few for an interval" in out and "no accuracy is significantly better" in out


def test_what_is_excluded_and_what_is_doubtful(cohort, capsys):
    spoiled = np.random.default_rng(0).random((8, 9, 7), np.float32)
    spoiled[0, 0, 0] = np.nan
    nib.save(nib.Nifti1Image(spoiled, np.diag([1, 1, 2.5, 1])), cohort / "sub-01/anat/sub-01_T1w.nii.gz")
    (cohort / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"")
    for sub, value in (("03", 0), ("04", 3)):
        save(cohort / f"sub-{sub}/anat/sub-{sub}_T1w.nii.gz", value=value)
        save(cohort / f"derivatives/d/sub-{sub}/anat/sub-{sub}_dseg.nii.gz")
    status, out, _ = run(capsys, cohort)
    assert status == 1
    assert "  ! 1 of 504 voxels are not finite, read as 0\n" in out
    assert "  sub-02/anat/sub-02_T1w.nii.gz: empty file (0 bytes)\n" in out
    assert "  sub-03/anat/sub-03_T1w.nii.gz: all voxels are zero, so that the image has no content\n" in out
    assert "  sub-04/anat/sub-04_T1w.nii.gz: all voxels are 3, so that the image has no content\n" in out
    assert out.endswith("1 usable (1 with warnings), 3 excluded\n")


def test_nothing_usable_is_listed_too(cohort, capsys):
    for sub in ("01", "02"):
        (cohort / f"sub-{sub}/anat/sub-{sub}_T1w.nii.gz").write_bytes(b"")
    status, out, _ = run(capsys, cohort)
    assert status == 2
    assert out.count("empty file") == 2


def test_a_target_chooses_the_task(cohort, capsys):
    _, out, _ = run(capsys, cohort, "--target", "dx")
    assert "classification of 'dx'" in out
    assert out.splitlines()[3].endswith("patient")
    assert main(["validate", str(cohort), "--target", "dy"]) == 2
    assert "did you mean 'dx'?" in capsys.readouterr().err
    rows = "sub-01\t31.5\nsub-02\t40\n"
    (cohort / "participants.tsv").write_text(f"participant_id\tage\n{rows}")
    assert "regression of 'age'" in run(capsys, cohort, "--target", "age")[1]
    status, _, err = run(capsys, cohort, "--task", "regression")
    assert status == 2
    assert "needs --target" in err


def test_a_folder_of_data_sets_is_no_heap_of_images(tmp_path, capsys):
    """The label maps of nnU-Net data sets would otherwise count as images."""
    data = tmp_path / "Dataset001_toy"
    for part in ("imagesTr/a_0000", "labelsTr/a"):
        save(data / f"{part}.nii.gz")
    (data / "dataset.json").write_text('{"channel_names": {"0": "T1"}, "labels": {"background": 0, "x": 1}}')
    status, out, err = run(capsys, tmp_path)
    assert (status, out) == (2, "")
    assert f"contains data sets: Dataset001_toy. voxnas validate {data}\n" in err


def test_participants_and_targets_of_a_dataset_json(tmp_path, capsys):
    names = ["p1_a", "p1_b", "p2_a", "p2_b"]
    for name in names:
        save(tmp_path / f"imagesTr/{name}_0000.nii.gz")
        save(tmp_path / f"labelsTr/{name}.nii.gz")
    (tmp_path / "dataset.json").write_text('{"channel_names": {"0": "T1"}, "labels": {"background": 0, "x": 1}}')
    assert "Participants are unknown: 4 of 4 scans share" in run(capsys, tmp_path)[1]
    status, out, err = run(capsys, tmp_path, "--participant", "(p[0-9]+)_.*")
    assert (status, err) == (0, "") and "unknown" not in out
    status, _, err = run(capsys, tmp_path, "--participant", "p_.*")
    assert status == 2 and "data.participant = 'p_.*' is not allowed. it has no group" in err
    (tmp_path / "participants.tsv").write_text("participant_id\tage\np1\t31.5\np2\t40\n")
    for path in (tmp_path / "labelsTr").iterdir():
        path.unlink()
    status, out, _ = run(capsys, tmp_path, "--participant", "(p[0-9]+)_.*", "--target", "age")
    assert status == 0 and "regression of 'age'" in out and out.splitlines()[3].endswith("31.5")


def test_label_maps_of_another_suffix_are_pointed_at(cohort, capsys):
    for path in cohort.glob("derivatives/d/*/anat/*"):
        path.rename(path.with_name(path.name.replace("dseg", "T1w_seg-manual")))
    assert "images only (for label maps: --label-suffix seg-manual)" in run(capsys, cohort)[1]
    assert "segmentation: 0 background" in run(capsys, cohort, "--label-suffix", "seg-manual")[1]


def test_strict_stops_at_the_first(cohort, capsys):
    (cohort / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"")
    status, out, err = run(capsys, cohort, "--strict")
    assert (status, out) == (2, "")
    assert "sub-02_T1w.nii.gz: empty file" in err


def test_single_files_and_plain_folders(tmp_path, capsys):
    good, bad = save(tmp_path / "x/a.nii.gz"), tmp_path / "x/b.nii.gz"
    bad.write_bytes(b"<html>")
    status, out, _ = run(capsys, tmp_path)
    assert status == 1
    assert "  x/b.nii.gz: a text or HTML file" in out
    assert run(capsys, good)[0] == 0
    assert run(capsys, bad)[0] == 2
    (tmp_path / "empty").mkdir()
    assert run(capsys, tmp_path / "empty")[0] == 2
    assert run(capsys, tmp_path / "nowhere")[0] == 2


def test_the_index_verb_writes_its_three_files(cohort, tmp_path, capsys):
    from voxnas.core.settings import StudySettings
    from voxnas.core.spec import stage_spec
    from voxnas.io.records import read_json, write_json

    (cohort / "sub-02/anat/sub-02_T1w.nii.gz").write_bytes(b"")
    write_json(tmp_path / "spec.json", stage_spec(StudySettings(), "index"))
    arguments = ["--spec", tmp_path / "spec.json", "--data", cohort, "--output", tmp_path / "index"]
    assert main(["index", *map(str, arguments)]) == 0
    assert "1 scans indexed, 1 excluded" in capsys.readouterr().out
    assert (tmp_path / "index/scans.tsv").read_text().splitlines()[1].startswith("sub-01\tsub-01\tn/a\tn/a\t/")
    assert "empty file" in (tmp_path / "index/excluded.tsv").read_text()
    assert json.dumps(read_json(tmp_path / "index/dataset.json")["labels"]) == '{"0": "background", "1": "label 1"}'


def test_the_phantom_has_a_target_for_each_task(cohort, tmp_path):
    from voxnas.core.settings import StudySettings
    from voxnas.core.spec import stage_spec
    from voxnas.io.records import read_json, write_json

    (cohort / "participants.tsv").write_text("participant_id\tgroup\tage\nsub-01\tx\t31.5\nsub-02\ty\t40\n")
    for task, target in (("classification", "group"), ("regression", "age")):
        write_json(tmp_path / "spec.json", stage_spec(StudySettings(task=task), "index"))
        arguments = ["--spec", tmp_path / "spec.json", "--data", cohort, "--output", tmp_path / task]
        assert main(["index", *map(str, arguments)]) == 0
        assert read_json(tmp_path / task / "dataset.json")["target"] == target


def test_every_real_tree_ends_without_a_traceback(data_root, capsys):
    expected = {
        "bids_robustness/bids-examples_ds114": 2,
        "bids_robustness/bids-examples_synthetic": 2,
        "bids_robustness/ivadomed_spine": 0,
        "bids_robustness/pumi-minitest": 0,
        "haxby2001_bids": 0,
        "nifti_robustness": 1,
    }
    for folder, status in expected.items():
        assert main(["validate", str(data_root / folder)]) == status, folder
        assert "usable" in capsys.readouterr().out


def test_labelled_arrays(tmp_path, capsys):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(12, 2, 16)))
    (tmp_path / "arrays.json").write_text(json.dumps({"images": "x.npy", "axes": "NCX"}))
    (tmp_path / "targets.csv").write_text("kind\n" + "ab"[0] + "\n" * 12)
    status, out, _ = run(capsys, tmp_path)
    assert (status, out.splitlines()[0]) == (0, f"{tmp_path.name} (ARRAYS), images only")
    (tmp_path / "targets.tsv").write_text("kind\n" + "a\nb\n" * 6)
    status, out, _ = run(capsys, tmp_path, "--target", "kind")
    lines = out.splitlines()
    assert (status, lines[0]) == (0, f"{tmp_path.name} (ARRAYS), classification of 'kind', a, b")
    assert lines[3].split() == ["sample_00", "16x1x1", "2", "channels", "?", "RAS", "float64", "a"]
