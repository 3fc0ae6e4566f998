import base64
import zlib

import numpy as np
import pytest

from voxnas.benchmark import results
from voxnas.benchmark.leaderboard import winning_network
from voxnas.io.nifti import load_label
from voxnas.report import viewer


def unpack(scan, name):
    return np.frombuffer(zlib.decompress(base64.b64decode(scan[name])), np.uint8).reshape(scan["shape"])


@pytest.fixture
def written(fake_segmentation, write_benchmark):
    write_benchmark(fake_segmentation)
    viewer.write_viewer(fake_segmentation, fake_segmentation.figures / "viewer.json")
    return viewer.read_viewer(fake_segmentation)


def test_the_worst_median_and_best_scan_are_kept_whole(fake_segmentation, written):
    key = winning_network(fake_segmentation).key
    table = results.cases(fake_segmentation.cases(key), "segmentation")
    dice = table[table.seed == "0"].dice.sort_values().tolist()
    assert [scan["name"] for scan in written["scans"]] == ["worst", "median", "best"]
    assert [scan["dice"] for scan in written["scans"]] == pytest.approx([dice[0], dice[2], dice[-1]], abs=1e-3)
    assert written["labels"] == ["anterior", "posterior"]
    for scan in written["scans"]:
        image = fake_segmentation.root / "images" / f"{scan['scan']}_dseg.nii.gz"
        prediction = fake_segmentation.cases(key).parent / "predictions" / f"{scan['scan']}.nii.gz"
        assert np.array_equal(unpack(scan, "truth"), load_label(str(image)))
        assert np.array_equal(unpack(scan, "prediction"), load_label(prediction))
        grey = unpack(scan, "image")
        assert grey.min() == 0 and grey.max() == 255 and scan["affine"] == [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 2, 0]]


def test_a_large_scan_is_cropped_and_thinned_in_place(fake_segmentation, write_benchmark, monkeypatch):
    monkeypatch.setattr(viewer, "MOST_VOXELS", 60)
    monkeypatch.setattr(viewer, "CONTEXT", 1.0)
    write_benchmark(fake_segmentation)
    viewer.write_viewer(fake_segmentation, fake_segmentation.figures / "viewer.json")
    for scan in viewer.read_viewer(fake_segmentation)["scans"]:
        assert np.prod(scan["shape"]) <= 60
        affine = np.array(scan["affine"])
        whole = load_label(str(fake_segmentation.root / "images" / f"{scan['scan']}_dseg.nii.gz"))
        labels = unpack(scan, "truth")
        for voxel in np.ndindex(labels.shape):
            x, y, z = affine[:, :3] @ voxel + affine[:, 3]
            assert labels[voxel] == whole[int(x), int(y), int(z / 2)]
