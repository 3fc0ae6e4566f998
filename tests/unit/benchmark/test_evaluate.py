"""Scores of a network whose labels are known, from images on disk to the tables of the test split and of the folds."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import torch
from plans import volume_plan
from torch import nn

from voxnas.arch.families.unet import UNet
from voxnas.benchmark.evaluate import evaluate_network, predict_folds
from voxnas.core.architecture import Recipe, network_key
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.core.splits import Splits
from voxnas.core.trial import Network
from voxnas.data.ledger import read_ledger
from voxnas.data.shards import write_shard
from voxnas.io.records import write_json
from voxnas.io.tables import write_table

SMALL, LARGE = 3, 7  # values of the labels, which are not their class indices
# Affine and shape of each scan: one along R, A, S, the other with exchanged and reversed axes. Voxels of 1 x 2 x 3 mm.
ALONG = (np.diag([1.0, 2.0, 3.0, 1.0]), (14, 12, 10))
TURNED = (np.array([[0, 1, 0, 5], [0, 0, -2, 9], [-3, 0, 0, 7], [0, 0, 0, 1.0]]), (10, 14, 12))


class Known(nn.Module):
    """Reads the class of a voxel from its intensity; the second seed exchanges the two labels, with less certainty."""

    def __init__(self, seed):
        super().__init__()
        self.seed, self.place = seed, nn.Parameter(torch.zeros(1))

    def forward(self, x):
        classes = (x[:, 0] / 100).round().long().clamp(0, 2)
        scores = nn.functional.one_hot(classes, 3).movedim(-1, 1).float()
        return 30 * scores if self.seed == 0 else 9 * scores[:, [0, 2, 1]]


def write_scan(folder, name, affine, shape, moved):
    """Write an image of intensity 100 times the class, and a truth whose smaller label lies `moved` voxels away."""
    classes = np.zeros(shape, np.int16)
    classes[1:5, 1:5, 1:5] = 1
    classes[6:9, 6:9, 6:9] = 2
    label = np.where(np.roll(classes == 1, moved, (0, 1, 2)), SMALL, np.where(classes == 2, LARGE, 0)).astype(np.uint8)
    nib.Nifti1Image((100 * classes).astype(np.float32), affine).to_filename(folder / f"{name}.nii.gz")
    nib.Nifti1Image(label, affine).to_filename(folder / f"{name}_dseg.nii.gz")
    return np.array([0, SMALL, LARGE], np.uint8)[classes]


@pytest.fixture
def known(tmp_path, monkeypatch):
    """A preprocessed study of two test scans, and the same two as one fold each; key of the network and its maps."""
    paths = StudyPaths(tmp_path / "study")
    scans = {
        name: (*kind, moved) for name, kind, moved in [
            ("a", ALONG, (0, 0, 1)), ("b", TURNED, (2, 0, 0)), ("c", ALONG, (0, 0, 1)), ("d", TURNED, (2, 0, 0)),
        ]
    }  # fmt: skip
    maps = {name: write_scan(tmp_path, name, *scan) for name, scan in scans.items()}
    settings = parse_settings({"benchmark": {"mirror": False}})
    for stage in ("evaluate", "train", "preprocess"):
        write_json(paths.spec(stage), stage_spec(settings, stage))
    files = {
        kind: [str(tmp_path / f"{n}{end}.nii.gz") for n in scans] for kind, end in (("image", ""), ("label", "_dseg"))
    }
    table = pd.DataFrame({"scan": list(scans), "participant": [f"sub-{n}" for n in scans], **files, "target": None,
                          "sha256": list(scans), "content": list(scans)})  # fmt: skip
    write_table(paths.scans, table)
    write_json(paths.splits, Splits(test=("a", "b"), folds=(("c",), ("d",))))
    labels = {"0": "background", str(SMALL): "small", str(LARGE): "large"}
    plan = volume_plan(patch=(16, 16, 16), spacing=(1, 2, 3), labels=labels, normalize="none", crop=False)
    write_json(paths.plan, plan)
    paths.shard(0).parent.mkdir(parents=True, exist_ok=True)
    write_shard(plan, paths.index, 0, 1, paths.shard(0))
    staged = {"widths": [2, 4], "blocks": [1, 1], "strides": [[1, 1, 1], [2, 2, 2]], "kernels": [[3, 3, 3]] * 2}
    architecture = UNet(**staged, in_channels=1, out_channels=3, decoder_blocks=[1])
    key = network_key(architecture, Recipe())
    network = Network(key=key, name="known", source="random", architecture=architecture, recipe=Recipe(), samples=1)
    write_json(paths.network(key) / "network.json", network)
    for seed in range(2):
        paths.seed(key, seed).mkdir()
        (paths.seed(key, seed) / "weights.safetensors").write_bytes(b"")
    monkeypatch.setattr(
        "voxnas.training.inference.load_trained", lambda _, file: Known(int(file.parent.name.removeprefix("seed-")))
    )
    return paths, key, maps


def test_the_locked_test_is_scored_on_the_grid_of_the_scans(known):
    paths, key, maps = known
    table = evaluate_network(paths, key, 2).set_index(["seed", "scan"])
    assert list(table.index) == [(seed, scan) for scan in "ab" for seed in ("0", "1", "ensemble")]
    assert table.participant["0", "a"] == "sub-a" and (table.key == key).all()
    for seed in ("0", "ensemble"):
        # A cube of four voxels, one voxel of 3 mm away; and two voxels of 3 mm away along another axis of the array.
        assert table.dice_3[seed, "a"] == pytest.approx(0.75) and table.hd95_mm_3[seed, "a"] == pytest.approx(3)
        assert table.dice_3[seed, "b"] == pytest.approx(0.5) and table.hd95_mm_3[seed, "b"] == pytest.approx(6)
        assert (table.dice_7[seed] == 1).all() and (table.hd95_mm_7[seed] == 0).all()
        assert table.dice[seed, "a"] == pytest.approx(0.875)
    assert (table.dice_7["1"] == 0).all() and (table.dice_3["1"] == 0).all()
    for scan in "ab":
        saved, image = (
            nib.load(f)
            for f in (paths.cases(key).parent / f"predictions/{scan}.nii.gz", f"{paths.root}/../{scan}.nii.gz")
        )
        assert np.array_equal(np.asarray(saved.dataobj), maps[scan]) and np.allclose(saved.affine, image.affine)
    assert [read["key"] for read in read_ledger(paths)] == [key]


def test_each_fold_is_predicted_by_the_seed_that_left_it_out(known):
    paths, key, _ = known
    table = predict_folds(paths, key, 2).set_index("scan")
    assert table.seed.to_dict() == {"c": "0", "d": "1"}
    assert table.dice_3["c"] == pytest.approx(0.75) and table.dice_7["c"] == 1  # seed 0
    assert table.dice_3["d"] == table.dice_7["d"] == 0  # seed 1 exchanges the labels
    assert list(predict_folds(paths, key, 1).scan) == ["c"]
    assert read_ledger(paths) == []  # the folds open no test split


def test_missing_weights_are_named_before_the_test_split_is_opened(known):
    paths, key, _ = known
    with pytest.raises(UserError, match=r"seed-2/weights.safetensors does not exist"):
        evaluate_network(paths, key, 3)
    assert read_ledger(paths) == []
