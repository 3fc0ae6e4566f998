"""Labelled arrays: all kinds of files, axes and tables, and one line for each fault."""

import json
import sys

import numpy as np
import pytest
import zarr
from plans import volume_plan

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import DataSettings
from voxnas.data.index import find_layout, index_dataset
from voxnas.data.labelled_arrays import read_arrays
from voxnas.data.preprocess import preprocess_scan
from voxnas.io.array_files import open_rows, read_sample, sample_path

COUNT = 6
SIZES = {"N": COUNT, "C": 2, "X": 12, "Y": 8, "Z": 5}
TARGETS = [["kind", "depth", "site", "participant_id"], *[["ab"[i % 2], i / 2, "uv"[i % 2], i // 2] for i in range(6)]]


def write(folder, axes, kind="npy", **changes):
    """Write a data set of random arrays; return the array."""
    array = np.random.default_rng(0).normal(size=[SIZES[axis] for axis in axes]).astype(np.float32)
    store(folder, kind, "x", array)
    separator = "," if changes.get("targets", "").endswith("csv") else "\t"
    table = "".join(separator.join(map(str, row)) + "\n" for row in changes.pop("rows", TARGETS))
    (folder / changes.get("targets", "targets.tsv")).write_text(table)
    (folder / "arrays.json").write_text(json.dumps({"images": f"data.{kind}", "axes": axes} | changes))
    return array


def store(folder, kind, name, array):
    if kind == "npy":
        np.save(folder / "data.npy", array)
    elif kind == "npz":
        np.savez_compressed(folder / "data.npz", **{name: array})
    elif kind == "zarr":
        zarr.open_group(folder / "data.zarr", mode="a").create_array(name, data=array)
    else:
        h5py = pytest.importorskip("h5py")
        with h5py.File(folder / "data.h5", "a") as file:
            file[name] = array


@pytest.mark.parametrize("axes", ["NX", "NXC", "NCX", "NXY", "NXYC", "NCXY", "NXYZ", "NXYZC", "NCXYZ"])
def test_every_order_of_axes_becomes_the_input_of_a_network(tmp_path, axes):
    array = write(tmp_path, axes)
    assert find_layout(tmp_path) == "arrays"
    index = index_dataset(tmp_path, "regression", DataSettings(target="depth"))
    assert index.excluded.empty and list(index.scans.target) == ["0.0", "0.5", "1.0", "1.5", "2.0", "2.5"]
    assert list(index.scans.participant) == list("001122") and list(index.scans.site) == list("uvuvuv")
    plan = volume_plan("regression", crop=False, normalize="none", channels=2 if "C" in axes else 1)
    prepared = preprocess_scan([index.scans.image.iloc[4]], None, plan).image  # (C, Z, Y, X)
    sample = array[4] if axes[1] == "C" else np.moveaxis(array[4], -1, 0) if axes[-1] == "C" else array[4][None]
    whole = sample.reshape(*sample.shape, *(1,) * (4 - sample.ndim))  # (C, X, Y, Z)
    np.testing.assert_array_equal(prepared, whole.transpose(0, 3, 2, 1))


@pytest.mark.parametrize("kind", ["npy", "npz", "zarr", "h5"])
def test_every_kind_of_file_has_the_same_content(tmp_path, kind):
    array = write(tmp_path, "NCX", kind)
    index = index_dataset(tmp_path, "classification", DataSettings(target="kind"))
    assert index.dataset["classes"] == ["a", "b"] and index.dataset["channels"] == ["0", "1"]
    name = "" if kind == "npy" else "x"
    sample = read_sample(sample_path(tmp_path / f"data.{kind}", "NCX", name, 3))
    np.testing.assert_array_equal(sample[:, 0, 0].T, array[3])
    if kind in ("zarr", "h5"):  # opened, not read
        assert not isinstance(open_rows(tmp_path / f"data.{kind}", name), np.ndarray)


def test_label_maps_of_an_archive_are_segmented(tmp_path):
    array = write(tmp_path, "NXYC", "npz", images="data.npz:x", labels="data.npz:y", label_names={"1": "disc"})
    labels = (array[..., 0] > 0).astype(np.uint8)
    np.savez(tmp_path / "data.npz", x=array, y=labels)
    index = index_dataset(tmp_path, "segmentation", DataSettings())
    assert index.dataset["labels"] == {"0": "background", "1": "disc"} and len(index.scans) == COUNT
    row = index.scans.iloc[2]
    plan = volume_plan("segmentation", crop=False, normalize="none", channels=2, labels=index.dataset["labels"])
    np.testing.assert_array_equal(preprocess_scan([row.image], row.label, plan).label[0], labels[2].T)


def test_a_table_of_commas_and_names_of_samples(tmp_path):
    rows = [["scan", "depth"], *[[f"star-{i}", 1 + i] for i in range(COUNT)]]
    write(tmp_path, "NX", targets="table.csv", rows=rows)
    layout = read_arrays(tmp_path, "regression", "depth")
    assert layout.candidates[5].scan == "star-5" and layout.candidates[5].target == "6" and not layout.identified


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"axis": "NX"}, "unknown key 'axis'"),
        ({"axes": "XYN"}, "axes = 'XYN' is not allowed"),
        ({"axes": "NXY"}, "axes NXY need 3 sizes"),
        ({"images": "other.npy"}, "other.npy does not exist"),
        ({"images": "targets.tsv"}, "no file of arrays"),
        ({"channels": ["u", "v", "w"]}, "3 names of channels"),
        ({"rows": TARGETS[:-1]}, "has 5 rows, data.npy has 6 samples"),
        ({"rows": [["other"], *[["1"]] * 6]}, "has no column 'kind'"),
        ({"rows": [["scan", "kind"], *[["a/b", "1"]] * 6]}, "scan = 'a/b' is no name"),
        ({"targets": "none.tsv", "rows": []}, "is empty"),
    ],
)
def test_a_fault_of_the_description_is_one_line(tmp_path, changes, message):
    write(tmp_path, changes.pop("axes", "NX"), **changes)
    if message.startswith("axes NXY"):
        np.save(tmp_path / "data.npy", np.zeros((COUNT, 8)))
    with pytest.raises(UserError, match=message.replace("(", r"\(")) as caught:
        read_arrays(tmp_path, "classification", "kind")
    assert "\n" not in str(caught.value)


def test_arrays_of_text_or_of_other_labels_are_refused(tmp_path):
    write(tmp_path, "NXY", labels="data.npy")
    np.save(tmp_path / "data.npy", np.array(["a"] * COUNT).reshape(COUNT, 1, 1))
    with pytest.raises(UserError, match="is of type <U1, numbers are required"):
        read_arrays(tmp_path, "classification", "kind")
    np.savez(tmp_path / "two.npz", a=np.zeros(3), b=np.zeros(3))
    for name, what in (("", "2 arrays and arrays.json names none"), ("c", "has no array 'c'")):
        with pytest.raises(UserError, match=what):
            open_rows(tmp_path / "two.npz", name)


def test_a_sample_that_is_not_finite_or_has_no_target_is_excluded(tmp_path):
    array = write(tmp_path, "NX", rows=[["kind"], *[[t] for t in ("a", "b", "a", "n/a", "a", "b")]])
    array[1, 3] = np.nan
    np.save(tmp_path / "data.npy", array)
    index = index_dataset(tmp_path, "classification", DataSettings(target="kind"))
    assert dict(zip(index.excluded.scan, index.excluded.reason, strict=True)) == {
        "sample_1": "has values that are not finite (NaN or infinity); replace them, or drop the row",
        "sample_3": "kind of sample_3 is missing (n/a)",
    }
    with pytest.raises(ScanError, match="not finite"):
        index_dataset(tmp_path, "classification", DataSettings(target="kind", strict=True))


def test_hdf5_without_its_package_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "data.h5").touch()
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"needs h5py, which is not installed. pip install 'voxnas\[hdf5\]'"):
        open_rows(tmp_path / "data.h5")
