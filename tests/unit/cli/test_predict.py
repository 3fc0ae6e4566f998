import os
import shutil

import nibabel
import numpy as np
import pytest
from model_folders import sign_model, untrained_model

from voxnas.cli.main import main
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import read_table

OBLIQUE = np.array([[0, 0, -2, 30], [1.1, 0.2, 0, -7], [-0.2, 1.1, 0, 5], [0, 0, 0, 1.0]])


def _write_scan(path, affine=OBLIQUE, shape=(11, 13, 9), kind=np.int16, seed=0):
    voxels = np.random.default_rng(seed).integers(1, 400, shape).astype(kind)
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_qform(affine, 1)
    image.set_sform(affine, 4)
    image.to_filename(path)
    return image


def _predict(*arguments):
    return main(["predict", *map(str, arguments)])


def test_a_label_map_lies_on_the_scans_own_grid(tmp_path, capsys):
    model = untrained_model(tmp_path / "model", "segmentation")
    image = _write_scan(tmp_path / "scan.nii.gz")
    assert _predict("--model", model, "--input", tmp_path / "scan.nii.gz", "--output", tmp_path / "out") == 0
    found = nibabel.load(tmp_path / "out" / "scan_dseg.nii.gz")
    assert found.shape == image.shape and np.allclose(found.affine, image.affine)
    for code in ("qform_code", "sform_code"):
        assert found.header[code] == image.header[code]
    values = np.asanyarray(found.dataobj)
    assert values.dtype == np.int16  # a label of 300 does not fit uint8
    assert set(np.unique(values)) <= {0, 2, 300} and len(np.unique(values)) > 1
    assert "predicted 1 of 1 scans" in capsys.readouterr().out


def test_good_scans_are_written_and_bad_ones_named(tmp_path, capsys):
    model = untrained_model(tmp_path / "model", "segmentation")
    folder = tmp_path / "in"
    folder.mkdir()
    _write_scan(folder / "a.nii.gz")
    (folder / "broken.nii.gz").write_bytes((folder / "a.nii.gz").read_bytes()[:200])
    _write_scan(folder / "four.nii.gz", shape=(11, 13, 9, 2))
    _write_scan(folder / "z.nii", affine=np.diag([1, 1, 3, 1.0]))
    (folder / "notes.txt").write_text("no image")
    assert _predict("--model", model, "--input", folder, "--output", tmp_path / "out") == 2
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_dseg.nii.gz", "z_dseg.nii.gz"]
    said = capsys.readouterr()
    assert "broken.nii.gz" in said.err and "four.nii.gz has 2 channel(s)" in said.err
    assert "predicted 2 of 4 scans" in said.out and "2 refused, 1 other files ignored" in said.out


def test_a_channel_too_few_is_refused(tmp_path, capsys):
    model = untrained_model(tmp_path / "model", "segmentation", channels=2)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("x_0000", "x_0001", "y_0000"):
        _write_scan(folder / f"{name}.nii.gz")
    assert _predict("--model", model, "--input", folder, "--output", tmp_path / "out") == 2
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["x_dseg.nii.gz"]
    assert "y_0000.nii.gz has 1 channel(s)" in capsys.readouterr().err


def test_the_ensemble_is_the_mean_of_its_members(tmp_path):
    from voxnas.deploy.predict import Model

    folder = untrained_model(tmp_path / "model", "segmentation")
    _write_scan(tmp_path / "scan.nii.gz")
    files = [tmp_path / "scan.nii.gz"]
    both, _ = Model(folder, ensemble=True).predict(files)
    second, _ = Model(folder).predict(files)
    sign_model(folder, default=0)
    first, _ = Model(folder).predict(files)
    assert not np.allclose(first, second)
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-6)
    mirrored, _ = Model(folder, mirror=True).predict(files)
    assert not np.allclose(mirrored, first)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_values_and_classes_are_a_table(tmp_path, task):
    model = untrained_model(tmp_path / "model", task)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(2):
        _write_scan(folder / f"01{number}.nii.gz", seed=number)
    assert _predict("--model", model, "--input", folder, "--output", tmp_path / "out", "--ensemble") == 0
    table = read_table(tmp_path / "out" / "predictions.tsv", {"scan": str, "predicted": str})
    assert table["scan"].tolist() == ["010", "011"]
    if task == "classification":
        assert np.allclose(table.probability_no.astype(float) + table.probability_yes.astype(float), 1)
        assert set(table.predicted) <= {"no", "yes"}
    else:
        assert table.predicted.astype(float).nunique() == 2


def test_a_doubt_about_a_file_is_said(tmp_path, capsys):
    model = untrained_model(tmp_path / "model", "segmentation")
    image = _write_scan(tmp_path / "scan.nii.gz")
    image.set_sform(np.diag([-1, 1, 1, 1.0]) @ OBLIQUE, 4)
    image.to_filename(tmp_path / "scan.nii.gz")
    assert _predict("--model", model, "--input", tmp_path / "scan.nii.gz", "--output", tmp_path / "out") == 0
    assert "warning: " in capsys.readouterr().err


def _folder_of_scans(folder, *names):
    folder.mkdir()
    for number, name in enumerate(names):
        _write_scan(folder / name, seed=number)
    return folder


def test_a_file_that_exists_is_replaced_only_if_asked(tmp_path, capsys):
    """With output = input, a manual label map has the name of a prediction."""
    model = untrained_model(tmp_path / "model", "segmentation")
    folder = _folder_of_scans(tmp_path / "in", "a.nii.gz", "b.nii.gz")
    (folder / "b_dseg.nii.gz").write_bytes(b"drawn by hand")
    assert _predict("--model", model, "--input", folder, "--output", folder) == 2
    assert f"{folder / 'b_dseg.nii.gz'} exists" in capsys.readouterr().err
    assert (folder / "b_dseg.nii.gz").read_bytes() == b"drawn by hand" and not (folder / "a_dseg.nii.gz").exists()
    assert _predict("--model", model, "--input", folder, "--output", folder, "--overwrite") == 0
    assert "predicted 2 of 2 scans" in capsys.readouterr().out
    # A second run does not read the predictions of the first.
    assert _predict("--model", model, "--input", folder, "--output", tmp_path / "out") == 0
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a_dseg.nii.gz", "b_dseg.nii.gz"]
    assert _predict("--model", model, "--input", folder / "a_dseg.nii.gz", "--output", tmp_path / "other") == 2
    assert "a_dseg.nii.gz is a label map" in capsys.readouterr().err


def test_a_table_that_exists_is_replaced_only_if_asked(tmp_path, capsys):
    model = untrained_model(tmp_path / "model", "regression")
    arguments = ["--model", model, "--input", _folder_of_scans(tmp_path / "in", "a.nii"), "--output", tmp_path / "out"]
    assert [_predict(*arguments), _predict(*arguments), _predict(*arguments, "--overwrite")] == [0, 2, 0]
    assert "predictions.tsv exists" in capsys.readouterr().err


@pytest.mark.parametrize("task", ["segmentation", "regression"])
def test_what_is_no_file_is_refused_and_counted(tmp_path, capsys, task):
    model = untrained_model(tmp_path / "model", task)
    folder = _folder_of_scans(tmp_path / "in", "a.nii.gz")
    (folder / "dangling.nii.gz").symlink_to(folder / "absent.nii.gz")
    (folder / "itself.nii.gz").symlink_to(folder / "itself.nii.gz")
    (folder / "folder.nii.gz").mkdir()
    os.mkfifo(folder / "pipe.nii.gz")
    shutil.copy(folder / "a.nii.gz", os.fsencode(folder) + b"/b\xe9d.nii.gz")
    assert _predict("--model", model, "--input", folder, "--output", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert "predicted 1 of 6 scans" in said.out and "5 refused" in said.out
    assert r"b\udce9d.nii.gz': the name is not UTF-8" in said.err
    for name in ("dangling", "itself", "folder", "pipe"):
        assert f"{name}.nii.gz is a dangling link or not a file" in said.err


@pytest.mark.parametrize("values", [0, 7, np.nan, np.inf, -np.inf])
def test_an_image_without_contrast_is_refused(tmp_path, capsys, values):
    model = untrained_model(tmp_path / "model", "segmentation")
    nibabel.Nifti1Image(np.full((9, 9, 9), values, np.float32), np.eye(4)).to_filename(tmp_path / "flat.nii.gz")
    assert _predict("--model", model, "--input", tmp_path / "flat.nii.gz", "--output", tmp_path / "out") == 2
    assert "flat.nii.gz: all voxels are equal or not finite" in capsys.readouterr().err
    assert list((tmp_path / "out").iterdir()) == []


def _flip(folder):
    content = bytearray((folder / "weights-1.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights-1.safetensors").write_bytes(content)


def _set_nan(folder):
    from voxnas.io.weights import load_weights, save_weights

    tensors, _ = load_weights(folder / "weights-1.safetensors")
    next(iter(tensors.values())).view(-1)[0] = float("nan")
    save_weights(folder / "weights-1.safetensors", tensors)
    sign_model(folder)


def _replace_by_folder(name):
    def replace(folder):
        (folder / name).unlink()
        (folder / name).mkdir()

    return replace


def _edit(name, *path, value):
    def edit(folder):
        record = place = read_json(folder / name)
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        write_json(folder / name, record)
        sign_model(folder) if name != "model.json" else None

    return edit


DAMAGES = {
    "a flipped bit": (_flip, "weights-1.safetensors is not the file that was packaged"),
    "a weight that is NaN": (_set_nan, "weights-1.safetensors holds weights that are not finite"),
    "an absent file": (lambda folder: (folder / "weights-1.safetensors").unlink(), "is not the file that was packaged"),
    "a folder for a file": (_replace_by_folder("weights-1.safetensors"), "is not the file that was packaged"),
    "a folder for the plan": (_replace_by_folder("plan.json"), "plan.json cannot be read: Is a directory"),
    "another schema": (_edit("model.json", "schema_version", value=99), "model.json: schema_version: Input"),
    "too many threads": (_edit("model.json", "threads", value=100_000), "model.json: threads"),
    "an unknown member": (_edit("model.json", "default", value=7), "model.json: Value error, default = 7 is none"),
    "a negative spacing": (_edit("plan.json", "spacing", value=[-5, 1, 1]), "plan.json: spacing.0"),
    "a list for a plan": (lambda folder: (folder / "plan.json").write_text("[]"), "plan.json: Input should be a valid"),
    "a deep plan": (lambda folder: (folder / "plan.json").write_text("[" * 100_000), "plan.json is not JSON"),
    "a patch of 4096^3": (_edit("plan.json", "patch", value=[4096] * 3), "plan.json: patch: Value error, a patch has"),
    "another plan": (_edit("plan.json", "channels", value=2), "the channels of architecture.json and plan.json differ"),
    "wide": (_edit("architecture.json", "architecture", "widths", value=[4000] * 2), "the weights hold less than the"),
    "a kernel": (_edit("architecture.json", "architecture", "kernels", 0, value=[9999] * 3), "kernels.0.0"),
    "blocks": (_edit("architecture.json", "architecture", "blocks", value=[10**6] * 2), "architecture.blocks.0"),
    "a number for widths": (_edit("architecture.json", "architecture", "widths", value=5), "architecture.json: arch"),
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damaged_model_folder_is_one_line(tmp_path, capsys, name):
    damage, words = DAMAGES[name]
    model = untrained_model(tmp_path / "model", "segmentation")
    damage(model)
    _write_scan(tmp_path / "scan.nii.gz")
    assert _predict("--model", model, "--input", tmp_path / "scan.nii.gz", "--output", tmp_path / "out") == 2
    said = capsys.readouterr()
    assert said.err.count("\n") == 1 and words in said.err and str(model) in said.err
    assert not (tmp_path / "out").exists()
