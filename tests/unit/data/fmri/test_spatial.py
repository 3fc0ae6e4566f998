"""Spatial steps on the phantom, whose truth is known, and on runs with one simulated error for each step."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.cli.main import main
from voxnas.core.errors import ScanError
from voxnas.core.settings import DataSettings
from voxnas.core.spec import SpatialSpec
from voxnas.data.fmri import spatial_shard
from voxnas.data.fmri.anatomy import Anatomy, load_anatomy
from voxnas.data.fmri.pose import framewise_displacement
from voxnas.data.fmri.registration import TEMPLATE_SPACE, template_grid
from voxnas.data.fmri.source import find_source, read_spatial
from voxnas.data.fmri.spatial import process_run
from voxnas.data.fmri.spatial_shard import is_raw, number_heads, study_spacing
from voxnas.data.index import index_dataset
from voxnas.data.index_files import write_index
from voxnas.data.phantom_bold import NON_STEADY, generate_bold_phantom
from voxnas.io.records import read_json, write_json

STEPS = ("steady", "slice_timing", "motion", "bias", "mask", "anatomical", "template")
FRAMES, SPACING, SECONDS = 14, 8.0, 2.0


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("cohort")
    generate_bold_phantom(root, participants=4, spacing_mm=SPACING, seed=5, runs=1, frames=FRAMES)
    return root


@pytest.fixture(scope="module")
def study(cohort, tmp_path_factory):
    """Process the only run of a study by all steps; return the folder of the study."""
    root = tmp_path_factory.mktemp("study")
    index = index_dataset(cohort, "classification", DataSettings(suffix="bold", target="group"), 0)
    write_index(root / "index", replace(index, scans=index.scans.iloc[:1], dataset=index.dataset | {"scans": 1}))
    write_json(root / "spatial.json", SpatialSpec(stage="spatial", version=1, steps=STEPS))
    for shard in (0, 1):
        output = root / "preprocess" / "spatial" / str(shard)
        arguments = ["--index", str(root / "index"), "--shard", str(shard), "--shards", "2", "--output", str(output)]
        assert main(["spatial", "--spec", str(root / "spatial.json"), *arguments]) == 0
    return root


def write_other_index(study, folder, **columns):
    """Write the index of the study with other values in some columns of its only run, which may be repeated."""
    rows = max([1, *(len(values) for values in columns.values())])
    table = pd.read_csv(study / "index/scans.tsv", sep="\t", dtype=str).iloc[[0] * rows].assign(**columns)
    folder.mkdir()
    table.to_csv(folder / "scans.tsv", sep="\t", index=False, na_rep="n/a")
    (folder / "excluded.tsv").write_bytes((study / "index/excluded.tsv").read_bytes())
    write_json(folder / "dataset.json", read_json(study / "index/dataset.json") | {"scans": rows})


def run_verb(spec, index, shard, output):
    arguments = ["--spec", spec, "--index", index, "--shard", shard, "--shards", 1, "--output", output]
    return main(["spatial", *map(str, arguments)])


def first_run(cohort):
    return sorted(cohort.glob("sub-*/func/*_bold.nii.gz"))[0]


def planted(cohort, folder, change=lambda array: array, affine=lambda affine: affine):
    """Write a copy of the first run with an error in it."""
    image = nib.load(first_run(cohort))
    path = folder / "sub-9" / "func" / "sub-9_task-x_bold.nii.gz"
    path.parent.mkdir(parents=True)
    nib.Nifti1Image(change(image.get_fdata(dtype=np.float32)), affine(image.affine)).to_filename(path)
    return path


def process(path, folder, steps, anatomy=None, **sidecar):
    return process_run(path, sidecar, SECONDS, steps, anatomy, template_grid(SPACING), folder)


def confounds(folder, record):
    return pd.read_csv(folder / record["confounds"], sep="\t")


class TestWhole:
    def test_shards_share_the_runs(self, study):
        assert read_json(study / "preprocess/spatial/1/runs.json") == {}
        assert len(read_json(study / "preprocess/spatial/0/runs.json")) == 1

    def test_a_run_becomes_derivatives_in_the_template(self, study, cohort):
        folder = study / "preprocess/spatial/0"
        ((_, record),) = read_json(folder / "runs.json").items()
        run = first_run(cohort)
        site = pd.read_csv(cohort / "participants.tsv", sep="\t").set_index("participant_id").loc["sub-01", "site"]
        assert record["dropped"] == NON_STEADY[site] and record["space"] == TEMPLATE_SPACE and not record["left_out"]
        bold, mask = nib.load(folder / record["bold"]), nib.load(folder / record["mask"])
        assert bold.shape[3] == FRAMES - record["dropped"] and bold.header.get_zooms() == (8, 8, 8, 2)
        assert mask.shape == bold.shape[:3] and np.array_equal(mask.affine, bold.affine)
        assert json.loads((folder / "dataset_description.json").read_text())["DatasetType"] == "derivative"
        sidecar = read_json(folder / record["sidecar"])
        assert [step["name"] for step in sidecar["Steps"]] == list(STEPS) and sidecar["Sources"] == [run.name]
        assert sidecar["SliceTimingCorrected"] and sidecar["StartTime"] == 1.0
        assert record["quality"]["template_overlap"] > 0.9 and record["quality"]["anatomical_overlap"] > 0.9

    def test_the_table_tells_the_true_motion(self, study, cohort):
        folder = study / "preprocess/spatial/0"
        ((scan, record),) = read_json(folder / "runs.json").items()
        table = confounds(folder, record)
        truth = pd.read_csv(cohort / f"derivatives/phantom/sub-01/func/{scan}_desc-motion_timeseries.tsv", sep="\t")
        truth = truth.iloc[record["dropped"] :].reset_index(drop=True)
        change = table[truth.columns] - table[truth.columns].iloc[0] - (truth - truth.iloc[0])
        assert change.filter(like="trans").abs().median().max() < 0.2
        assert np.degrees(change.filter(like="rot")).abs().median().max() < 0.2
        moved = framewise_displacement(truth.to_numpy())[1:]
        assert table["framewise_displacement"][1:].mean() == pytest.approx(moved.mean(), abs=0.15)
        assert {"csf", "white_matter", "global_signal", "dvars", "w_comp_cor_00"} <= set(table)
        assert set(read_json((folder / record["confounds"]).with_suffix(".json"))) <= set(table)

    def test_voxels_lie_still(self, study, cohort):
        folder = study / "preprocess/spatial/0"
        ((_, record),) = read_json(folder / "runs.json").items()
        mask = nib.load(folder / record["mask"]).get_fdata() > 0
        done = nib.load(folder / record["bold"]).get_fdata()[mask]
        raw = nib.load(first_run(cohort)).get_fdata()[..., record["dropped"] :]
        raw = raw[raw.mean(axis=-1) > 300]
        signal = [np.median(x.mean(axis=1) / x.std(axis=1)) for x in (raw, done)]
        assert signal[1] > 1.1 * signal[0]

    def test_cleaning_finds_what_was_written(self, study):
        done = read_spatial(study / "preprocess/spatial")
        row = {"scan": next(iter(done)), "image": "raw.nii.gz", "repetition_time": 2.0, "preprocessed": "no"}
        source = find_source(row, done)
        assert source.bold.exists() and source.mask.exists() and source.confounds.exists()
        assert source.space == TEMPLATE_SPACE
        with pytest.raises(ScanError, match="too dark"):
            find_source(row, {row["scan"]: {"excluded": "too dark"}})


class TestPassedOver:
    def test_only_raw_runs_are_touched(self):
        scans = pd.DataFrame(
            {"image": ["a.nii.gz", "b.nii.gz", "c.npz"], "preprocessed": ["no", "yes", "no"], "frames": 9}
        )
        assert is_raw(scans).tolist() == [True, False, False]

    def test_runs_with_one_image_show_one_head(self):
        heads = ["a", "a", "b", np.nan, "b", np.nan, "c"]
        scans = pd.DataFrame({"scan": [f"run-{i}" for i in range(7)], "anatomical": heads})
        assert number_heads(scans, STEPS).tolist() == [0, 0, 1, 2, 1, 3, 4]
        assert number_heads(scans, ["motion"]).tolist() == list(range(7))  # no image of a head is used

    @pytest.mark.parametrize("shards", [1, 2, 3])
    def test_a_head_is_prepared_once_however_many_shards(self, study, tmp_path, monkeypatch, shards):
        """Also where its runs do not follow each other."""
        heads = ["a", "b", "a", np.nan, "b"]
        write_other_index(study, tmp_path / "index", scan=[f"run-{i}" for i in range(5)], anatomical=heads)
        loaded, done = [], []
        monkeypatch.setattr(spatial_shard, "load_anatomy", lambda path: loaded.append(path) or Anatomy(path, None))
        monkeypatch.setattr(spatial_shard, "process_run", lambda *given: done.append(given[4]) or {})
        for shard in range(shards):
            spatial_shard.write_spatial_shard(STEPS, tmp_path / "index", shard, shards, tmp_path / str(shard))
        assert sorted(map(str, loaded)) == ["a", "b"]
        assert sorted(str(anatomy and anatomy.path) for anatomy in done) == ["None", "a", "a", "b", "b"]

    def test_no_steps_no_work(self, study, tmp_path):
        write_json(tmp_path / "spatial.json", SpatialSpec(stage="spatial", version=1, steps=()))
        assert run_verb(tmp_path / "spatial.json", study / "index", 0, tmp_path / "o") == 0
        assert read_json(tmp_path / "o" / "runs.json") == {}
        assert run_verb(tmp_path / "spatial.json", study / "index", 5, tmp_path / "o") == 2

    def test_a_run_without_a_brain_is_excluded_with_its_reason(self, study, tmp_path):
        empty = tmp_path / "empty_bold.nii.gz"
        nib.Nifti1Image(np.zeros((20, 20, 20, 9), np.int16), np.eye(4)).to_filename(empty)
        write_other_index(study, tmp_path / "index", image=[str(empty)])
        assert run_verb(study / "spatial.json", tmp_path / "index", 0, tmp_path / "o") == 0
        assert "no brain" in next(iter(read_json(tmp_path / "o" / "runs.json").values()))["excluded"]

    def test_the_voxels_of_a_study(self):
        assert study_spacing(pd.DataFrame({"spacing": ["3x3x4", "3.3x3.3x3.3", "3x3x4"]})) == 3.3
        assert study_spacing(pd.DataFrame({"spacing": ["1x1x1"]})) == 2.0

    def test_a_slab_is_left_where_it_is(self, cohort, tmp_path):
        path = planted(cohort, tmp_path, lambda a: a[:, :, 12:13])
        record = process(path, tmp_path, STEPS)
        assert record["space"] == "" and {"motion", "anatomical", "template"} <= set(record["left_out"])
        assert "motion" not in "".join(confounds(tmp_path, record))
        assert nib.load(tmp_path / record["bold"]).shape[:3] == nib.load(path).shape[:3]


class TestPlanted:
    """What goes wrong in a step shows in the figures that it leaves."""

    def test_steady(self, cohort, tmp_path):
        def brighten(array):
            array[..., 0] *= 1.4
            return array

        path = planted(cohort, tmp_path, brighten)
        kept = confounds(tmp_path, process(path, tmp_path, ("mask",)))
        assert kept["global_signal"][0] > 1.2 * kept["global_signal"].median()
        assert process(path, tmp_path, ("steady",))["dropped"] >= 1

    def test_slice_timing(self, cohort, tmp_path):
        path = planted(cohort, tmp_path)
        slices = nib.load(path).shape[2]
        times = [1000.0 * n / slices for n in range(slices)]
        record = process(path, tmp_path, ("slice_timing",), SliceTiming=times)
        assert "ms" in record["left_out"]["slice_timing"]

    def test_motion(self, cohort, tmp_path):
        def jerk(array):
            array[..., 9:] = np.roll(array[..., 9:], 1, axis=0)  # by a voxel of 8 mm
            return array

        record = process(planted(cohort, tmp_path, jerk), tmp_path, ("motion", "mask"))
        table = confounds(tmp_path, record)
        assert table["framewise_displacement"].idxmax() == 9 and table["framewise_displacement"][9] > 6
        assert record["quality"]["mean_fd_mm"] > 0.5

    def test_bias(self, cohort, tmp_path):
        good = process(planted(cohort, tmp_path / "a"), tmp_path / "a", ("bias", "mask"))
        slope = np.exp(np.linspace(-0.8, 0.8, nib.load(first_run(cohort)).shape[0]))[:, None, None, None]
        bad = process(planted(cohort, tmp_path / "b", lambda a: a * slope), tmp_path / "b", ("bias", "mask"))
        assert bad["quality"]["bias_range"] > 1.3 * good["quality"]["bias_range"]

    def test_mask_and_template(self, cohort, tmp_path):
        def half(array):
            array[: array.shape[0] // 2] = array[0, 0, 0]  # a coil that is dead
            return array

        good = process(planted(cohort, tmp_path / "a"), tmp_path / "a", ("mask", "template"))["quality"]
        bad = process(planted(cohort, tmp_path / "b", half), tmp_path / "b", ("mask", "template"))["quality"]
        assert good["template_overlap"] > 0.88 and bad["brain_ml"] < 0.75 * good["brain_ml"]

    def test_anatomical(self, cohort, tmp_path):
        t1 = sorted(cohort.glob("sub-01/anat/*_T1w.nii.gz"))[0]
        image = nib.load(t1)
        wrong = nib.Nifti1Image(image.get_fdata(dtype=np.float32)[:, :, ::-1], image.affine)  # stored upside down
        wrong.to_filename(tmp_path / "wrong_T1w.nii.gz")
        path = planted(cohort, tmp_path)
        good, bad = (
            process(path, tmp_path / name, ("mask", "anatomical"), load_anatomy(file))
            for name, file in (("a", t1), ("b", tmp_path / "wrong_T1w.nii.gz"))
        )
        assert good["space"] == "T1w" and good["quality"]["anatomical_overlap"] > 0.9
        assert bad["quality"]["anatomical_overlap"] < good["quality"]["anatomical_overlap"] - 0.04
