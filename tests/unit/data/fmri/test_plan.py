import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.core.errors import ScanError, UserError
from voxnas.data.fmri.plan import make_timed_plan

from .conftest import AFFINE, make_bold, scan_row

DATASET = {"layout": "bids", "classes": ["a", "b"], "target": "group"}


@pytest.fixture
def scans(make_source):
    return pd.DataFrame([scan_row(make_source(name=f"run-{n}"), "ab"[n % 2]) for n in range(3)])


def test_plan_of_clips(scans, make_spec):
    plan = make_timed_plan(make_spec(), scans, DATASET)
    assert plan.spacing == (3, 3, 4) and plan.repetition_time == 2
    # The brain of the tests, in canonical orientation: 1:-1, 2:-2, 1:.
    assert plan.grid.box == ((1, 7), (2, 7), (1, 6))
    assert plan.fingerprint.median_shape == (6, 5, 5)
    assert plan.view == "clips" and plan.patch == plan.views["clips"].patch == (5, 5, 6)
    assert (plan.channels, plan.frames, plan.outputs) == (1, 8, 2)
    assert plan.plain()["clip"] == {"frames": 8, "step": 1, "delay": None, "per_run": 4}
    assert plan.timed and plan.classes == ("a", "b") and plan.labels == {}


def test_every_view_is_a_volume_for_networks(scans, make_spec, atlas):
    views = ["series", "clips", "maps", "connectivity"]
    plan = make_timed_plan(make_spec(clips={"views": views, "atlas": atlas, "frames": 24}), scans, DATASET)
    assert plan.view == "series" and plan.channels == 2 and plan.regions == (1, 2)
    series = plan.for_view("series")
    assert series.patch == (1, 1, 24)
    assert series.strides == ((1, 1, 1), (1, 1, 2), (1, 1, 2)) and series.kernels == ((1, 1, 3),) * 3
    assert plan.for_view("connectivity").patch == (1, 2, 2) and plan.for_view("maps").channels == 2
    assert plan.for_view("maps").patch == plan.for_view("clips").patch


def test_a_slice_has_flat_kernels_and_an_odd_size_is_padded(make_source, make_spec):
    bold, _ = make_bold(shape=(21, 18, 1))
    source = make_source(bold=bold, mask=False)
    plan = make_timed_plan(make_spec(preprocess={"crop": False}), pd.DataFrame([scan_row(source)]), DATASET)
    assert plan.patch == (1, 20, 24) and plan.kernels[0] == (1, 3, 3) and plan.strides[1] == (1, 2, 2)


def test_given_spacing_and_runs_that_share_no_grid(make_source, make_spec):
    moved, _ = make_bold(shape=(10, 9, 6))
    sources = [make_source(name="run-1"), make_source(bold=moved, mask=False, name="run-2")]
    scans = pd.DataFrame([scan_row(s) for s in sources])
    plan = make_timed_plan(make_spec(preprocess={"spacing": [6, 6, 8]}), scans, DATASET)
    assert plan.grid is None and plan.spacing == (6, 6, 8)


def test_spatial_steps_say_where_the_runs_are(scans, make_source, make_spec, tmp_path):
    from voxnas.io.records import write_json

    for shard, row in enumerate(scans.to_dict("records")):
        folder = tmp_path / "spatial" / str(shard)
        folder.mkdir(parents=True)
        small = nib.Nifti1Image(make_bold(shape=(6, 6, 5))[0], AFFINE)
        small.to_filename(folder / "clean_bold.nii.gz")
        write_json(folder / "runs.json", {row["scan"]: {"bold": "clean_bold.nii.gz", "mask": None, "dropped": 2}})
    plan = make_timed_plan(
        make_spec(preprocess={"crop": False}), scans.assign(mask=None), DATASET, tmp_path / "spatial"
    )
    assert plan.grid.shape == (6, 6, 5)


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"clips": {"frames": 40, "step": 2}}, "spans 79 volumes, and runs have 60"),
        ({"clips": {"views": ["series"]}}, "clips.views has series, which needs an atlas"),
        ({"task": "segmentation"}, "segmentation is undefined"),
        ({"task": "regression", "clips": {"unit": "volume", "delay": 5.0}}, "decodes events"),
    ],
)
def test_what_cannot_be_is_said(scans, make_spec, sections, words):
    with pytest.raises(UserError, match=words):
        make_timed_plan(make_spec(**sections), scans, DATASET)


def test_no_runs_and_no_repetition_time(scans, make_spec):
    with pytest.raises(UserError, match="no runs are left"):
        make_timed_plan(make_spec(), scans.iloc[:0], DATASET)
    with pytest.raises(ScanError, match="no repetition time"):
        make_timed_plan(make_spec(), scans.assign(repetition_time=np.nan), DATASET)
