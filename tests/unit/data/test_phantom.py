import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.cli.main import main
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.data.phantom import SITES, TISSUES, Person, generate_phantom, load_template, make_head, simulate_t1
from voxnas.io.records import write_json


@pytest.fixture(scope="module")
def template():
    return load_template(8.0)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom")
    generate_phantom(root, "segmentation", participants=12, spacing_mm=8.0, seed=5)
    return root


def files(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_tree_is_bids(cohort):
    table = pd.read_csv(cohort / "participants.tsv", sep="\t")
    assert list(table["participant_id"]) == [f"sub-{n:02d}" for n in range(1, 13)]
    assert set(table.columns) == {"participant_id", "age", "group", "site"}
    assert table["group"].value_counts().to_dict() == {"control": 6, "atrophy": 6}
    assert json.loads((cohort / "dataset_description.json").read_text())["DatasetType"] == "raw"
    derivative = json.loads((cohort / "derivatives/phantom/dataset_description.json").read_text())
    assert derivative["DatasetType"] == "derivative" and derivative["GeneratedBy"]
    names = pd.read_csv(cohort / "derivatives/phantom/dseg.tsv", sep="\t")
    assert list(zip(names["index"], names["name"], strict=True)) == list(enumerate(TISSUES))[1:]


def test_scans_and_labels_share_their_grid_and_differ_between_sites(cohort):
    table = pd.read_csv(cohort / "participants.tsv", sep="\t").set_index("participant_id")
    orientation = {s.name: s.orientation for s in SITES}
    for name, row in table.iterrows():
        image = nib.load(cohort / name / "anat" / f"{name}_T1w.nii.gz")
        label = nib.load(cohort / "derivatives/phantom" / name / "anat" / f"{name}_dseg.nii.gz")
        assert "".join(nib.aff2axcodes(image.affine)) == orientation[row["site"]]
        assert image.shape == label.shape and np.array_equal(image.affine, label.affine)
        voxels, tissues = np.asarray(image.dataobj), np.asarray(label.dataobj)
        assert set(np.unique(tissues)) == {0, 1, 2, 3}
        assert np.array_equal(voxels > 0, tissues > 0)
        # Brighter from CSF to white matter, as in a T1-weighted image.
        means = [voxels[tissues == t].mean() for t in (1, 2, 3)]
        assert means == sorted(means)


def test_the_same_arguments_give_the_same_bytes(cohort, tmp_path):
    settings = parse_settings({"seed": 5, "data": {"phantom": {"participants": 4, "spacing": 8.0}}})
    write_json(tmp_path / "index.json", stage_spec(settings, "index"))
    for name in ("a", "b"):
        assert main(["phantom", "--spec", str(tmp_path / "index.json"), "--output", str(tmp_path / name)]) == 0
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert sum(map(len, files(cohort).values())) < 1_000_000


def test_other_tasks_have_no_label_maps(tmp_path):
    generate_phantom(tmp_path, "regression", participants=4, spacing_mm=8.0, seed=5)
    assert not (tmp_path / "derivatives").exists()


def test_atrophy_trades_grey_matter_for_csf(template):
    volumes = []
    for atrophy in (0.0, 0.5, 1.0):
        person = Person("sub-01", 50.0, "control", SITES[0], atrophy)
        rng = np.random.default_rng(0)
        _, label = simulate_t1(make_head(template, person, 8.0, rng), person.site, rng)
        volumes.append(np.bincount(label.ravel(), minlength=4)[1:] / (label > 0).sum())
    csf, grey, _ = np.array(volumes).T
    assert csf[0] < csf[1] < csf[2]
    assert grey[0] > grey[1] > grey[2]
