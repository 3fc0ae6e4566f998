"""A real run (PUMI's test data: OpenNeuro ds002608 at 5 mm, with skull) through the whole of the spatial steps."""

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.cli.main import main
from voxnas.core.settings import DataSettings
from voxnas.core.spec import SpatialSpec
from voxnas.data.fmri.motion import centre_of, make_reference
from voxnas.data.fmri.pose import MOTION, to_matrix
from voxnas.data.fmri.source import Series
from voxnas.data.fmri.volumes import Volume
from voxnas.data.fmri.warp import grid_points, sample
from voxnas.data.index import index_dataset
from voxnas.data.index_files import write_index
from voxnas.io.records import read_json, write_json

STEPS = ["steady", "slice_timing", "motion", "bias", "mask", "anatomical", "template"]


@pytest.fixture(scope="module")
def pumi(data_root, tmp_path_factory):
    """The raw run, the folder of the derivatives, and the record of the run."""
    root = tmp_path_factory.mktemp("pumi")
    data = data_root / "bids_robustness" / "pumi-minitest"
    write_index(root, index_dataset(data, "regression", DataSettings(suffix="bold", target="age"), 0))
    write_json(root / "spatial.json", SpatialSpec(stage="spatial", version=1, steps=STEPS))
    arguments = ["--spec", str(root / "spatial.json"), "--index", str(root), "--shard", "0", "--shards", "1"]
    assert main(["spatial", *arguments, "--output", str(root / "spatial")]) == 0
    ((_, record),) = read_json(root / "spatial/runs.json").items()
    return data / "sub-001/func/sub-001_task-rest_bold.nii.gz", root / "spatial", record


def realign(volumes: list[np.ndarray], reference: Volume, inside: np.ndarray) -> np.ndarray:
    """Motion by another algorithm: Gauss-Newton on squared differences, as SPM's realignment (Friston et al. 1995)."""
    points, centre = grid_points(reference)[inside.ravel()], centre_of(reference)
    fixed = reference.array[inside]
    scale = np.array([0.1] * 3 + [0.002] * 3)
    poses, pose = [], np.zeros(6)
    for volume in volumes:
        moving = reference.with_array(volume)
        look = lambda p, moving=moving: sample(moving, nib.affines.apply_affine(to_matrix(p, centre), points))  # noqa: E731
        for _ in range(6):
            here = look(pose)
            slopes = [(look(pose + scale * unit) - look(pose - scale * unit)) / 2 for unit in np.eye(6)]
            design = np.vstack([slopes, -fixed]).T
            # The last unknown is a change of brightness.
            step = np.linalg.lstsq(design, fixed - here, rcond=None)[0]
            pose = pose + scale * step[:6]
        poses.append(pose)
    return np.array(poses)


def test_every_step_is_done(pumi):
    _, folder, record = pumi
    assert record["left_out"] == {} and record["space"] == "MNI152NLin2009aSym"
    sidecar = read_json(folder / record["sidecar"])
    assert [step["name"] for step in sidecar["Steps"]] == STEPS and sidecar["StartTime"] == pytest.approx(1.26)
    assert record["quality"]["template_overlap"] > 0.9  # although the T1-weighted image has its skull
    assert 1000 < record["quality"]["brain_ml"] < 1700
    bold = nib.load(folder / record["bold"])
    assert bold.shape[3] == 20 - record["dropped"] and bold.header.get_zooms() == pytest.approx((5, 5, 5, 2.52))


def test_motion_agrees_with_another_algorithm(pumi):
    path, folder, record = pumi
    ours = pd.read_csv(folder / record["confounds"], sep="\t")[list(MOTION)].to_numpy()
    series = Series(path)
    volumes = list(series.volumes())[record["dropped"] :]
    reference = make_reference(iter(volumes), series.affine)
    inside = reference.array > 0.3 * np.percentile(reference.array, 98)
    theirs = realign(volumes, reference, inside)
    change = (ours - ours[0]) - (theirs - theirs[0])
    shift, turn = np.abs(change[:, :3]).max(axis=1), np.degrees(np.abs(change[:, 3:]).max(axis=1))
    print(
        f"median {np.median(shift):.3f} mm, {np.median(turn):.3f} degrees; largest {shift.max():.3f}, {turn.max():.3f}"
    )
    assert np.median(shift) < 0.1 and np.median(turn) < 0.1
    assert shift.max() < 0.25 and turn.max() < 0.25
