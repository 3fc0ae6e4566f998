"""``voxnas new`` on generated data sets."""

import json

import numpy as np
import pytest
import yaml

from voxnas.cli.main import main
from voxnas.core.settings import parse_settings
from voxnas.data.phantom import generate_phantom


def bids(folder):
    generate_phantom(folder, "classification", 6, 16.0, 0)


def segmentation(folder):
    generate_phantom(folder, "segmentation", 6, 16.0, 0)


def msd(folder):
    pairs = [{"image": f"./imagesTr/p{i}.nii.gz", "label": f"./labelsTr/p{i}.nii.gz"} for i in range(12)]
    for pair in pairs:
        for name in pair.values():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
    labels, channels = {"0": "background", "1": "anterior: left"}, {"0": "MRI"}
    description = {"name": "Small", "modality": channels, "labels": labels, "training": pairs, "numTraining": 12}
    (folder / "dataset.json").write_text(json.dumps(description))


def archive(folder):
    folder.mkdir()
    arrays = {"train_images": np.zeros((30, 8, 8, 8), np.uint8), "train_labels": np.arange(30)[:, None] % 3}
    np.savez(folder / "small.npz", **arrays)


def arrays(folder, **labels):
    folder.mkdir()
    np.save(folder / "x.npy", np.random.default_rng(0).normal(size=(30, 2, 16)))
    np.save(folder / "y.npy", np.arange(30 * 16).reshape(30, 16) % 3)
    (folder / "arrays.json").write_text(json.dumps({"images": "x.npy", "axes": "NCX"} | labels))
    (folder / "targets.tsv").write_text("kind\n" + "".join(f"{i % 3}\n" for i in range(30)))


def labelled(folder):
    arrays(folder, labels="y.npy")


@pytest.mark.parametrize(
    ("write", "options", "expected", "comment"),
    [
        (bids, ["--target", "age"], ("regression", "bids", 2), "target from "),
        (bids, ["--target", "group"], ("classification", "bids", 2), "scans of each class: atrophy 3, control 3"),
        (segmentation, [], ("segmentation", "bids", 2), "of 6 participants (BIDS data set"),
        (msd, ["--hours", "3"], ("segmentation", "msd", 3), "labels: 0 background, 1 anterior: left"),
        (archive, ["--target", "labels"], ("classification", "npz", 5), "scans of each class: 0 10, 1 10, 2 10"),
        (arrays, ["--target", "kind"], ("classification", "arrays", 5), "preprocess: {crop: false}"),
        (labelled, [], ("segmentation", "arrays", 5), "channels: 0, 1; labels: those in the label maps"),
    ],
)
def test_the_file_fits_the_data(tmp_path, monkeypatch, capsys, write, options, expected, comment):
    data = tmp_path / "data: set"
    write(data)
    monkeypatch.chdir(tmp_path)
    command = ["new", "mine", "--data", str(data), *options]
    assert main(command) == 0, capsys.readouterr().err
    file = tmp_path / "config" / "studies" / "mine.yaml"
    text = file.read_text()
    settings = parse_settings(yaml.safe_load(text), str(file))
    assert (settings.task, settings.data.layout, settings.splits.folds) == expected
    assert settings.study == "mine" and settings.data_root == str(data) and comment in text
    assert settings.training.budget.amount == 4 * settings.search.budget.amount
    assert main(command) == 2 and file.read_text() == text
    assert "config/studies/mine.yaml exists" in capsys.readouterr().err


def test_budgets_follow_the_hours(tmp_path, monkeypatch):
    msd(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    amounts = {}
    for hours in (2, 6):
        assert main(["new", f"h{hours}", "--data", "data", "--hours", str(hours)]) == 0
        amounts[hours] = yaml.safe_load((tmp_path / f"config/studies/h{hours}.yaml").read_text())["search"]["budget"]
    assert amounts[6]["amount"] == pytest.approx(3 * amounts[2]["amount"], rel=0.1)


@pytest.mark.parametrize(
    ("write", "options", "message"),
    [
        (bids, [], "give --target with one of: "),
        (bids, ["--target", "agee"], "agee"),
        (archive, [], "give --target with one of: labels"),
        (bids, ["--target", "age", "--suffix", "bold"], "time series"),
        (msd, ["--hours", "0"], "--hours 0"),
        (lambda folder: folder.mkdir(), [], "BIDS"),
    ],
)
def test_refusals_write_nothing(tmp_path, monkeypatch, capsys, write, options, message):
    write(tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    assert main(["new", "mine", "--data", "data", *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "config").exists()
