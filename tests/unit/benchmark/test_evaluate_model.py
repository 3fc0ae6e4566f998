"""A model scores perfectly on its own predictions, whatever the layout, and less where they are changed."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from model_folders import sign_model
from plans import volume_plan

from voxnas.arch.families.cnn import CNN
from voxnas.arch.families.unet import UNet
from voxnas.cli.main import main
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.settings import DataSettings
from voxnas.core.trial import Network
from voxnas.data.index import index_dataset
from voxnas.io.records import write_json
from voxnas.io.tables import read_table
from voxnas.io.weights import save_weights
from voxnas.nn.build import build_network

STAGED = {
    "in_channels": 1, "widths": [2, 4], "blocks": [1, 1], "strides": [[1, 1, 1], [2, 2, 2]], "kernels": [[3, 3, 3]] * 2,
}  # fmt: skip
NAMES = [f"p{person}_{visit}" for person in range(6) for visit in "ab"]


def write_model(folder, task):
    torch.manual_seed(0)
    outputs = {"segmentation": 2, "classification": 2, "regression": 1}[task]
    architecture = (UNet if task == "segmentation" else CNN)(
        **STAGED, out_channels=outputs, **({"decoder_blocks": [1]} if task == "segmentation" else {})
    )
    recipe = Recipe(loss={"segmentation": "dice_ce", "classification": "ce", "regression": "mse"}[task])
    network = Network(
        key=network_key(architecture, recipe), name="best", source="random", architecture=architecture, recipe=recipe,
        samples=1,
    )  # fmt: skip
    write_json(folder / "architecture.json", network)
    labels = {"0": "background", "1": "x"} if task == "segmentation" else {}
    classes = ["no", "yes"] if task == "classification" else []
    plan = volume_plan(task, (8, 8, 8), outputs=outputs, spacing=(1, 1, 1), labels=labels, classes=classes)
    write_json(folder / "plan.json", plan)
    save_weights(folder / "weights-0.safetensors", build_network(architecture).state_dict())
    return sign_model(folder, data=DataSettings(target="outcome"))


def write_images(root):
    for seed, name in enumerate(NAMES):
        path = root / f"imagesTr/{name}_0000.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        voxels = np.random.default_rng(seed).integers(1, 400, (10, 9, 11)).astype(np.int16)
        nib.save(nib.Nifti1Image(voxels, np.diag([1, 1, 1.5, 1])), path)
    described = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(described))


def evaluate(tmp_path, *options):
    arguments = ["--model", tmp_path / "model", "--data", tmp_path / "data", "--output", tmp_path / "out", *options]
    status = main(["evaluate", *map(str, arguments)])
    return status, {p.stem: read_table(p, {}) for p in (tmp_path / "out").glob("*.tsv")}


def predict_images(tmp_path, task):
    """Write a model and images, and predict the images into the folder `told`."""
    write_model(tmp_path / "model", task)
    write_images(tmp_path / "data")
    arguments = ["--model", tmp_path / "model", "--input", tmp_path / "data/imagesTr", "--output", tmp_path / "told"]
    assert main(["predict", *map(str, arguments)]) == 0


def test_segmentations_are_scored_per_case_and_per_participant(tmp_path, capsys):
    predict_images(tmp_path, "segmentation")
    (tmp_path / "data/labelsTr").mkdir()
    for name in NAMES:
        told = nib.load(tmp_path / f"told/{name}_0000_dseg.nii.gz")
        labels = np.asarray(told.dataobj).copy()
        if name == "p0_a":
            labels = 1 - labels  # no voxel is right
        nib.save(nib.Nifti1Image(labels, told.affine), tmp_path / f"data/labelsTr/{name}.nii.gz")
    status, tables = evaluate(tmp_path, "--participant", r"(p\d)_.*")
    assert status == 0
    dice = dict(zip(tables["cases"]["scan"], tables["cases"]["dice"].astype(float), strict=True))
    assert dice == {name: 0.0 if name == "p0_a" else 1.0 for name in NAMES}
    means = dict(zip(tables["participants"]["participant"], tables["participants"]["dice"].astype(float), strict=True))
    assert means == {f"p{person}": 0.5 if person == 0 else 1.0 for person in range(6)}
    assert set(tables["participants"]["cases"]) == {"2"}
    scores = tables["scores"].astype({"estimate": float, "low": float, "number": int})
    scores = scores[scores["measure"] == "dice"].set_index("over")
    assert scores["estimate"].round(6).to_dict() == {"cases": round(11 / 12, 6), "participants": round(11 / 12, 6)}
    assert scores["number"].to_dict() == {"cases": 12, "participants": 6}
    assert "unknown" not in capsys.readouterr().err and set(tables["cases"]["seen"]) == {"no"}


def test_images_of_the_study_and_unknown_participants_are_told(tmp_path, capsys):
    predict_images(tmp_path, "segmentation")
    (tmp_path / "data/labelsTr").mkdir()
    for name in NAMES:
        (tmp_path / f"told/{name}_0000_dseg.nii.gz").rename(tmp_path / f"data/labelsTr/{name}.nii.gz")
    index = index_dataset(tmp_path / "data", "segmentation", DataSettings())
    sign_model(tmp_path / "model", images=[index.scans["content"].iloc[0]])
    _, tables = evaluate(tmp_path)
    assert list(tables["cases"]["seen"]) == ["yes"] + ["no"] * 11
    told = capsys.readouterr().err
    assert "1 of 12 cases are of participants" in told and "participants are unknown" in told
    assert evaluate(tmp_path)[0] == 2 and "cases.tsv exists (and 3 more)" in capsys.readouterr().err
    _, tables = evaluate(tmp_path, "--participant", r"(p\d)_.*", "--overwrite")
    assert list(tables["cases"]["seen"]) == ["yes"] * 2 + ["no"] * 10  # the other scan of the participant


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_the_scans_of_a_participant_are_scored_once(tmp_path, task):
    predict_images(tmp_path, task)
    told = read_table(tmp_path / "told/predictions.tsv", {}).assign(participant=lambda t: t["scan"].str[:2])
    if task == "regression":
        answers = told.assign(predicted=told["predicted"].astype(float)).groupby("participant")["predicted"].mean()
    else:
        answers = told.assign(p=told["probability_yes"].astype(float)).groupby("participant")["p"].mean()
        answers = answers.map(lambda p: "yes" if p > 0.5 else "no")
        answers.iloc[0] = {"yes": "no", "no": "yes"}[answers.iloc[0]]
    table = pd.DataFrame({"participant_id": answers.index, "outcome": answers.to_numpy()})
    table.to_csv(tmp_path / "data/participants.tsv", sep="\t", index=False)
    status, tables = evaluate(tmp_path, "--participant", r"(p\d)_.*")
    assert status == 0 and list(tables["cases"]["scan"]) == [f"p{person}" for person in range(6)]
    scores = tables["scores"].set_index(["measure", "over"])["estimate"].astype(float)
    if task == "regression":
        assert scores["absolute_error", "participants"] < 1e-5 and scores["r", "cases"] > 0.9999
    else:
        assert scores["accuracy", "cases"] == pytest.approx(5 / 6)


def test_what_does_not_fit_is_refused(tmp_path, capsys):
    write_model(tmp_path / "model", "classification")
    write_images(tmp_path / "data")
    rows = "".join(f"p{person}\t{'maybe' if person else 'yes'}\n" for person in range(6))
    (tmp_path / "data/participants.tsv").write_text("participant_id\toutcome\n" + rows)
    assert evaluate(tmp_path, "--participant", r"(p\d)_.*")[0] == 2
    assert "has the classes maybe, which the model does not predict" in capsys.readouterr().err
    assert main(["evaluate", "--model", str(tmp_path / "model")]) == 2
    assert "--model needs --data" in capsys.readouterr().err
    assert main(["evaluate", "--study", str(tmp_path)]) == 2
    assert "needs --key and --seeds" in capsys.readouterr().err
