import json

import pytest
import torch

from voxnas.cli.main import main
from voxnas.core.errors import UserError
from voxnas.core.paths import StudyPaths
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.data.dataset import StudyData
from voxnas.data.ledger import ledger_file, open_test
from voxnas.data.phantom import generate_phantom
from voxnas.io.records import write_json

STAGES = ("index", "preprocess", "splits")


def build(root, cohort, shards=2, **raw):
    """Run all stages up to preprocessing by the command line."""
    settings = parse_settings({"data_root": str(cohort), "splits": {"folds": 3}, **raw})
    paths = StudyPaths(root)
    for stage in STAGES:
        write_json(paths.spec(stage), stage_spec(settings, stage))
    preprocess(paths, shards, cohort)
    return paths


def preprocess(paths, shards, cohort):
    commands = [
        ["index", "--spec", paths.spec("index"), "--data", cohort, "--output", paths.index],
        ["split", "--spec", paths.spec("splits"), "--index", paths.index, "--output", paths.splits],
        ["plan", "--spec", paths.spec("preprocess"), "--index", paths.index, "--splits", paths.splits],
    ]
    commands[-1] += ["--output", paths.plan]
    shard = ["preprocess", "--plan", paths.plan, "--index", paths.index, "--shards", shards]
    commands += [[*shard, "--shard", i, "--output", paths.shard(i)] for i in range(shards)]
    for command in commands:
        assert main([str(part) for part in command]) == 0


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort")
    generate_phantom(root, "segmentation", participants=10, spacing_mm=8.0, seed=0)
    return root


@pytest.fixture
def study(cohort, tmp_path):
    return build(tmp_path / "study", cohort)


def test_scans_come_with_labels_on_one_grid(study):
    data = StudyData(study)
    assert len(data.development_scans()) == 8
    for scan in data.development_scans():
        image, label = data.image(scan), data.label(scan)
        assert image.dtype == torch.float32
        assert image.shape == (1, *label.shape)
        assert set(label.unique().tolist()) == {0, 1, 2, 3}
        brain = image[0][label > 0]
        assert abs(float(brain.mean())) < 0.2
        assert tuple(data.geometry(scan)["spacing"]) == data.plan.spacing
        assert data.target(scan) is None


def test_folds_are_disjoint(study):
    data = StudyData(study)
    for fold in range(3):
        train, validation = data.train_scans(fold), data.validation_scans(fold)
        assert not set(train) & set(validation)
        assert sorted(train + validation) == data.development_scans()
    with pytest.raises(IndexError, match="fold 3 of 3"):
        data.train_scans(3)


def test_the_test_split_is_shut_until_it_is_opened(study):
    data = StudyData(study)
    (scan, *_) = json.loads(study.splits.read_text())["test"]
    for read in (data.image, data.label, data.target):
        with pytest.raises(PermissionError, match="locked test split"):
            read(scan)
    assert scan not in data.development_scans()
    data.unlock(open_test(study, "evaluate", "key"))
    assert data.image(scan).ndim == 4
    assert ledger_file(study).read_text().count("\n") == 1


def test_a_caller_that_works_in_place_changes_nothing(study):
    data = StudyData(study)
    scan = data.development_scans()[0]
    before = data.image(scan)
    data.image(scan).add_(1)
    assert torch.equal(data.image(scan), before)


def test_files_of_an_earlier_number_of_shards_are_not_read(study, cohort):
    old = {s: StudyData(study).image(s) for s in StudyData(study).development_scans()}
    preprocess(study, 1, cohort)
    stale = study.shard(1)
    stale.write_bytes(b"stale")
    data = StudyData(study)
    assert all(torch.equal(data.image(s), old[s]) for s in old)


def test_the_digest_is_of_content(study, cohort, tmp_path):
    same = build(tmp_path / "other", cohort, shards=3)
    assert StudyData(same).digest == StudyData(study).digest
    other = build(tmp_path / "seed", cohort, seed=1)
    assert StudyData(other).digest != StudyData(study).digest


def test_a_missing_shard_is_named(study):
    study.shard(1).with_suffix(".json").unlink()
    with pytest.raises(UserError, match="5 scans of the splits are not preprocessed"):
        StudyData(study)


def test_a_damaged_shard_is_named(study):
    data = StudyData(study)
    first, other = sorted(data.development_scans(), key=lambda scan: data._arrays._file[scan].name)[::7]
    study.shard(0).write_bytes(study.shard(0).read_bytes()[:-100])
    with pytest.raises(UserError, match=r"0\.safetensors is not a readable safetensors file"):
        data.image(first)
    assert data.image(other).ndim == 4
    for text in ("[1]", '{"sub-01": 1}', '{"sub-01"'):
        study.shard(1).with_suffix(".json").write_text(text)
        with pytest.raises(UserError, match=r"1\.json"):
            StudyData(study)


def test_a_scan_that_fails_is_named(study, capsys):
    table = study.scans.read_text().splitlines()
    broken = [line.replace("_T1w.nii.gz", "_gone.nii.gz") if line.startswith("sub-01\t") else line for line in table]
    study.scans.write_text("\n".join(broken) + "\n")
    command = ["preprocess", "--plan", study.plan, "--index", study.index, "--shard", 0, "--shards", 2]
    assert main([*map(str, command), "--output", str(study.shard(0))]) == 2
    assert "scan 'sub-01'" in capsys.readouterr().err
    command[6] = 2
    assert main([*map(str, command), "--output", str(study.shard(2))]) == 2
    assert "no shard 2 of 2" in capsys.readouterr().err


def test_targets_of_a_classification(cohort, tmp_path):
    study = build(tmp_path / "study", cohort, task="classification", data={"target": "group"}, splits={"folds": 2})
    data = StudyData(study)
    assert data.plan.classes == ("atrophy", "control")
    assert {data.target(s) for s in data.development_scans()} == {"atrophy", "control"}
    with pytest.raises(Exception, match="label"):
        data.label(data.development_scans()[0])
