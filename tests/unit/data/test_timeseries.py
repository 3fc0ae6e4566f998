import json

import numpy as np
import pytest

from voxnas.core.errors import ScanError, UserError
from voxnas.core.settings import DataSettings
from voxnas.data.index import find_layout, index_dataset
from voxnas.data.timeseries import is_timeseries, read_series, read_timeseries

REGIONS = 4


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "ts").mkdir()
    series = {f"sub-{i}": rng.normal(size=(20 + i, REGIONS)).astype(np.float32) for i in range(3)}
    np.savez_compressed(tmp_path / "ts/site-A_1_atlas-TOY_desc-x_timeseries.npz", **series)
    scaled = {"sub-3": np.array([[20, -40, 0, 1]] * 9 + [[0, 1, 2, 0]], np.int8)}
    scaled["sub-3_sd"] = np.array([1, 2, 0.5, 1], np.float16)
    np.savez_compressed(tmp_path / "ts/site-B_atlas-TOY_timeseries.npz", **scaled)
    rows = "".join(f"sub-{i}\t{'ab'[i % 2]}\t{'AB'[i == 3]}\t{1.5 + i}\n" for i in range(5))
    (tmp_path / "participants.tsv").write_text("participant_id\tdx\tsite\trepetition_time\n" + rows)
    (tmp_path / "columns.json").write_text(json.dumps({"toy_columns": ["7", "3", "4", "9"]}))
    return tmp_path


def index(folder, **settings):
    return index_dataset(folder, "classification", DataSettings(layout="timeseries", target="dx", **settings))


def test_series_are_indexed(folder):
    assert is_timeseries(folder) and find_layout(folder) == "timeseries"
    found = index(folder)
    assert found.scans["scan"].tolist() == ["sub-0", "sub-1", "sub-2", "sub-3"]
    assert found.scans["frames"].tolist() == [20, 21, 22, 10]
    assert found.scans["site"].tolist() == ["A", "A", "A", "B"]
    assert found.scans["repetition_time"].tolist() == [1.5, 2.5, 3.5, 4.5]
    assert set(found.scans["shape"]) == {"4"}
    assert set(found.scans["preprocessed"]) == {"yes"}
    assert found.excluded[["scan", "reason"]].values.tolist() == [["sub-4", "no series in any archive"]]
    assert found.dataset["regions"] == [7, 3, 4, 9]
    assert found.dataset["classes"] == ["a", "b"]
    assert found.dataset["atlas"] == ""  # there is no image of it
    (folder / "atlas").mkdir()
    (folder / "atlas/TOY.nii.gz").touch()
    assert index(folder).dataset["atlas"].endswith("atlas/TOY.nii.gz")


def test_quantised_series_are_scaled_back(folder):
    series = read_series(folder / "ts/site-B_atlas-TOY_timeseries.npz", "sub-3")
    assert series.dtype == np.float32
    assert series.shape == (10, REGIONS)
    assert series[0].tolist() == pytest.approx([1, -4, 0, 0.05])


def test_what_is_no_series_is_left_out_with_its_reason(folder):
    arrays = {
        "sub-0": np.ones((5, REGIONS)),
        "sub-1": np.ones((5, 3)),
        "sub-2": np.full((5, REGIONS), np.nan),
        "sub-3": np.ones(5),
    }
    for file in (folder / "ts").iterdir():
        file.unlink()
    np.savez(folder / "ts/atlas-TOY_timeseries.npz", **arrays)
    np.savez(folder / "ts/site-x_atlas-TOY_timeseries.npz", **{"sub-4": np.random.rand(5, REGIONS)})
    (folder / "participants.tsv").write_text("participant_id\tdx\n" + "".join(f"sub-{i}\ta\n" for i in range(5)))
    with pytest.raises(UserError, match="has one class, 'a'"):
        index(folder)
    layout = read_timeseries(folder, "classification", "dx")
    from voxnas.data.index import index_layout

    found = index_layout(layout, "classification", DataSettings(target="dx"))
    told = dict(zip(found.excluded["scan"], found.excluded["reason"], strict=True))
    assert found.scans["scan"].tolist() == ["sub-4"]
    assert found.scans["warnings"].tolist() == ["no repetition time in participants.tsv"]
    assert "no change over time" in told["sub-0"]
    assert told["sub-1"] == "sub-1 has 3 regions, columns.json has 4"
    assert "not finite" in told["sub-2"]
    assert "has shape (5,)" in told["sub-3"]
    with pytest.raises(ScanError, match=r"array 'sub-9' is unreadable"):
        read_series(folder / "ts/atlas-TOY_timeseries.npz", "sub-9")


def test_mistakes_are_named(folder):
    with pytest.raises(UserError, match=r"set data\.layout: timeseries"):
        index_dataset(folder, "classification", DataSettings(target="dx"))
    with pytest.raises(UserError, match="have no label maps"):
        index_dataset(folder, "segmentation", DataSettings(layout="timeseries"))
    with pytest.raises(UserError, match=r"no events.*set clips.unit: run"):
        index_dataset(folder, "classification", DataSettings(layout="timeseries", target="dx"), unit="volume")
    with pytest.raises(UserError, match=r"data.filters and data.images are for BIDS"):
        index(folder, filters={"task": "rest"})
    with pytest.raises(UserError, match=r"no column 'dy'.*did you mean 'dx'"):
        read_timeseries(folder, "classification", "dy")
    (folder / "columns.json").write_text("{}")
    with pytest.raises(UserError, match="no list of whole numbers toy_columns"):
        index(folder)
    (folder / "ts/atlas-ALL_timeseries.npz").write_bytes(b"")
    with pytest.raises(UserError, match="series of 2 atlases: ALL, TOY"):
        index(folder)


def test_abide(data_root):
    found = index_dataset(
        data_root, "classification", DataSettings(folder="abide_rois", layout="timeseries", target="dx")
    )
    assert len(found.scans) == 639 and found.excluded.empty
    assert found.scans["target"].value_counts().to_dict() == {"TC": 331, "ASD": 308}
    assert found.scans["frames"].min() == 116 and found.scans["frames"].max() == 296
    assert len(found.dataset["regions"]) == 200
    assert found.dataset["atlas"].endswith("atlas/CC200.nii.gz")
    assert found.scans["repetition_time"].notna().all()
    assert found.sidecars.keys() == set(found.scans["scan"])
