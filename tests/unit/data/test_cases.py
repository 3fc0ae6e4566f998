"""No participant is in two splits, in any layout, and no separation is claimed that the data set does not establish."""

import json

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.core.errors import UserError
from voxnas.core.settings import DataSettings
from voxnas.data.cases import shared_stems
from voxnas.data.index import index_dataset
from voxnas.data.leaks import check_splits
from voxnas.data.splits import make_splits

PATIENTS, FRAMES = 8, ("frame01", "frame12")
NAMES = [f"patient{p:03d}_{frame}" for p in range(PATIENTS) for frame in FRAMES]


def image(path, seed):
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(1, 99, (5, 6, 4)).astype(np.int16)
    nib.save(nib.Nifti1Image(values, np.eye(4)), path)


def label(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(np.eye(6, 5, dtype=np.uint8).T[..., None].repeat(4, 2), np.eye(4)), path)


def write_msd(root, names=NAMES, part="Tr", first=0):
    for i, name in enumerate(names):
        image(root / f"images{part}/{name}.nii.gz", first + i)
        label(root / f"labels{part}/{name}.nii.gz")
    path = root / "dataset.json"
    described = (
        json.loads(path.read_text()) if path.exists() else {"modality": {"0": "T1"}, "labels": {"0": "no", "1": "x"}}
    )
    if part == "Tr":
        described["training"] = [{"image": f"imagesTr/{n}.nii.gz", "label": f"labelsTr/{n}.nii.gz"} for n in names]
    else:
        described["test"] = [f"imagesTs/{n}.nii.gz" for n in names]
    path.write_text(json.dumps(described))


def write_nnunet(root, names=NAMES, part="Tr", first=0):
    for i, name in enumerate(names):
        image(root / f"images{part}/{name}_0000.nii.gz", first + i)
        label(root / f"labels{part}/{name}.nii.gz")
    described = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "x": 1}, "file_ending": ".nii.gz"}
    (root / "dataset.json").write_text(json.dumps(described))


def write_bids(root):
    for i, name in enumerate(NAMES):
        person, session = name.split("_")
        image(root / f"sub-{person}/ses-{session}/anat/sub-{person}_ses-{session}_T1w.nii.gz", i)


def write_npz(root):
    rng = np.random.default_rng(0)
    arrays = {}
    for split, rows in (("train", slice(0, 9)), ("val", slice(9, 16))):  # a patient is in both
        arrays[f"{split}_images"] = rng.integers(0, 255, (len(NAMES[rows]), 5, 6, 4), dtype=np.uint8)
        arrays[f"{split}_participants"] = np.array([name.split("_")[0] for name in NAMES[rows]])
        arrays[f"{split}_labels"] = np.array([int(name[9]) % 2 for name in NAMES[rows]])
    np.savez(root / "shapes.npz", **arrays)


def write_table(root, by_scan=True, prefix=""):
    people = [name.split("_")[0] for name in NAMES]
    rows = pd.DataFrame({"participant_id": [prefix + p for p in people], "scan": NAMES})
    rows["group"] = [f"g{int(p[-1]) % 2}" for p in people]
    rows = rows if by_scan else rows.drop(columns="scan").drop_duplicates()
    rows.to_csv(root / "participants.tsv", sep="\t", index=False)


@pytest.mark.parametrize(
    ("write", "table", "settings"),
    [
        (write_msd, True, {}),
        (write_nnunet, True, {}),
        (write_msd, None, {"participant": r"(patient\d+)_.*"}),
        (write_nnunet, None, {"participant": r"(patient\d+)_.*"}),
        (write_nnunet, False, {"participant": r"(patient\d+)_.*", "target": "group"}),
        (write_msd, True, {"target": "group"}),
        (write_bids, False, {"target": "group"}),
        (write_npz, None, {"target": "labels"}),
    ],
)
def test_no_participant_is_in_two_splits(tmp_path, write, table, settings):
    write(tmp_path)
    if table is not None:
        write_table(tmp_path, table, "sub-" if write is write_bids else "")
    task = "classification" if "target" in settings else "segmentation"
    index = index_dataset(tmp_path, task, DataSettings(**settings))
    assert index.dataset["identified"] and index.dataset["doubt"] == "" and len(index.scans) == len(NAMES)
    for seed in range(5):
        splits = make_splits(index.scans, task, 0.25, 2, seed)
        check_splits(index.scans, splits)
        of = dict(zip(index.scans["scan"], index.scans["participant"], strict=True))
        parts = [{of[scan] for scan in part} for part in (splits.test, *splits.folds)]
        assert sum(map(len, parts)) == len(set().union(*parts)) == PATIENTS
        assert len(splits.test) == 2 * len(parts[0]) > 0


@pytest.mark.parametrize("write", [write_msd, write_nnunet])
def test_unknown_participants_are_said_to_be_unknown(tmp_path, write):
    write(tmp_path)
    index = index_dataset(tmp_path, "segmentation", DataSettings())
    assert not index.dataset["identified"]
    assert (
        "16 of 16 scans" in index.dataset["doubt"]
        and "patient000_frame01 and patient000_frame12" in index.dataset["doubt"]
    )


@pytest.mark.parametrize(
    ("names", "warned"),
    [
        (["patient001_frame01", "patient001_frame12", "patient002_frame01"], 2),
        (["BraTS-GLI-00005-000", "BraTS-GLI-00005-001", "BraTS-GLI-00006-000"], 2),
        (["001_L", "001_R", "002_L", "002_R"], 4),
        (["anna_left", "anna_right", "bob_left"], 2),
        (["hippocampus_001", "hippocampus_003", "hippocampus_010", "hippocampus_100"], 0),
        (["KiTS23_00001", "KiTS23_00002"], 0),
        (["only"], 0),
    ],
)
def test_names_that_share_a_stem_are_suspected(names, warned):
    assert shared_stems(names).startswith(f"{warned} of {len(names)} scans" if warned else "")
    assert bool(shared_stems(names)) == bool(warned)


def test_what_names_no_participant_is_left_out_or_refused(tmp_path):
    write_msd(tmp_path)
    index = index_dataset(tmp_path, "segmentation", DataSettings(participant=r"(patient00[0-6])_.*"))
    assert set(index.excluded["scan"]) == {"patient007_frame01", "patient007_frame12"}
    assert index.excluded["reason"].str.contains("does not match data.participant").all()
    rows = "p\tpatient000_frame01\t30\np\tpatient001_frame01\t31\n"
    (tmp_path / "participants.tsv").write_text("participant_id\tscan\tage\n" + rows)
    index = index_dataset(tmp_path, "regression", DataSettings(target="age"))
    assert list(index.scans["scan"]) == ["patient000_frame01", "patient001_frame01"]
    assert set(index.scans["participant"]) == {"p"}
    assert index.excluded["reason"].str.contains("names no participant of scan").all()
    with pytest.raises(UserError, match="no column 'weight'"):
        index_dataset(tmp_path, "regression", DataSettings(target="weight"))
    write_bids(tmp_path / "bids")
    with pytest.raises(UserError, match=r"data\.participant is for dataset\.json"):
        index_dataset(tmp_path / "bids", "regression", DataSettings(target="age", participant="(.)"))


@pytest.mark.parametrize("write", [write_msd, write_nnunet])
def test_the_folder_of_test_scans_is_the_locked_split(tmp_path, write):
    held = ["held_1", "held_2"]
    write(tmp_path)
    write(tmp_path, held, "Ts", 100)
    pattern = DataSettings(participant=r"(patient\d+|held)_.*")
    assert len(index_dataset(tmp_path, "segmentation", pattern).scans) == len(NAMES)
    scans = index_dataset(tmp_path, "segmentation", pattern, test_folder=True, shards=3).scans
    splits = make_splits(scans, "segmentation", "folder", 2, 0)
    assert list(splits.test) == held and sorted(splits.development) == sorted(NAMES)
    check_splits(scans, splits)
    same = scans.assign(participant=scans["participant"].replace("held", "patient000"))
    with pytest.raises(UserError, match=r"patient000 is in the folder of test scans \(held_1\)"):
        make_splits(same, "segmentation", "folder", 2, 0)
    with pytest.raises(UserError, match="no scan of the folder of test scans"):
        make_splits(scans[scans["subset"] != "test"], "segmentation", "folder", 2, 0)
    (tmp_path / "labelsTs/held_2.nii.gz").unlink()
    left = index_dataset(tmp_path, "segmentation", pattern, test_folder=True)
    assert list(left.excluded["scan"]) == ["held_2"]


def test_layouts_without_a_folder_of_test_scans_say_so(tmp_path):
    write_npz(tmp_path)
    with pytest.raises(UserError, match="has no folder of test scans"):
        index_dataset(tmp_path, "classification", DataSettings(target="labels"), test_folder=True)
    write_msd(tmp_path / "msd")
    with pytest.raises(UserError, match="lists no test scans"):
        index_dataset(tmp_path / "msd", "segmentation", DataSettings(), test_folder=True)
