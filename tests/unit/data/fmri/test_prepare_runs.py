import nibabel as nib
import numpy as np
import pandas as pd
import pytest
from nilearn.image import smooth_img
from safetensors.numpy import load_file

from voxnas.core.errors import UserError
from voxnas.data.fmri.clean import clean_block
from voxnas.data.fmri.confounds import read_confounds
from voxnas.data.fmri.plan import make_timed_plan
from voxnas.data.fmri.prepare_runs import smoothed, write_timed_shard
from voxnas.data.fmri.views import correlations
from voxnas.io.clips import Run
from voxnas.io.records import read_json, write_json
from voxnas.io.tables import read_table, write_table

from .conftest import AFFINE, FRAMES, INTERVAL, SHAPE, make_bold, scan_row

DATASET = {"layout": "bids", "classes": ["a", "b"], "target": "group"}


@pytest.fixture
def prepare(tmp_path, make_spec):
    """Write the index, the plan and all shards of runs; return the plan and the folder of shard 0."""

    def run(rows, dataset=DATASET, shards=1, **sections):
        scans = pd.DataFrame(rows)
        write_table(tmp_path / "index" / "scans.tsv", scans)
        plan = make_timed_plan(make_spec(**sections), scans, dataset)
        for shard in range(shards):
            write_timed_shard(plan, tmp_path / "index", None, shard, shards, tmp_path / "shards" / str(shard))
        return plan, tmp_path / "shards" / "0"

    return run


def test_a_run_is_that_of_the_whole_image(prepare, make_source, confound_table, atlas):
    """Processing by blocks and volumes equals cleaning of the whole image."""
    source = make_source(table=confound_table)
    views = {"views": ["clips", "maps", "series", "connectivity"], "atlas": atlas}
    plan, folder = prepare([scan_row(source)], clips=views, bold={"high_pass": 0.01})
    bold, brain = make_bold()
    bold, brain = bold[::-1], brain[::-1]  # from left to right
    cleaned = clean_block(bold[brain].T, read_confounds(source, FRAMES, plan.bold), plan.bold, INTERVAL)

    expected = np.zeros((*SHAPE, FRAMES), np.float32)
    expected[brain] = cleaned.series.T
    expected = expected[1:7, 2:7, 1:6].transpose(3, 2, 1, 0)[:, None]
    run = Run(folder / f"{source.scan}.zip")
    assert run.shape == (FRAMES, 1, 5, 5, 6)
    np.testing.assert_allclose(run.frames(0, FRAMES), expected, atol=2e-5)

    found = load_file(folder / "views.safetensors")
    series = found[f"{source.scan}/series"]
    labels = np.asarray(nib.load(atlas).dataobj)[::-1]
    means = np.stack([bold[labels == n].mean(0) for n in (1, 2)], axis=1)
    theirs = clean_block(means, read_confounds(source, FRAMES, plan.bold), plan.bold, INTERVAL).series
    np.testing.assert_allclose(series, theirs, atol=1e-4)
    np.testing.assert_allclose(found[f"{source.scan}/connectivity"], correlations(series), atol=1e-6)
    assert found[f"{source.scan}/maps"].shape == (2, 5, 5, 6)

    record = read_json(folder / "records.json")[source.scan]
    assert (record["target"], record["frames"], record["excluded"]) == ("a", FRAMES, "")
    assert (
        record["geometry"]["box"] == [list(side) for side in plan.grid.box]
        and "labels" not in record
        and "volumes" not in record
    )
    quality = read_table(folder / "quality.tsv", {"tsnr": float, "mean_fd_mm": float})
    assert quality["scan"].tolist() == [source.scan] and quality["tsnr"].iloc[0] > 50
    drawn = load_file(folder / "quality.safetensors")
    assert drawn[f"{source.scan}/carpet"].shape[1] == FRAMES and drawn[f"{source.scan}/dvars"].shape == (FRAMES,)
    assert sorted(p.name for p in folder.iterdir()) == [
        "quality.safetensors", "quality.tsv", "records.json", f"{source.scan}.zip", "views.safetensors",
    ]  # fmt: skip


def test_resampling_and_smoothing_come_before_the_cleaning(prepare, make_source, confound_table):
    source = make_source(table=confound_table)
    _, folder = prepare(
        [scan_row(source)], preprocess={"spacing": [6, 6, 8], "crop": False}, bold={"smoothing_mm": 5.0}
    )
    run = Run(folder / f"{source.scan}.zip")
    assert run.shape == (FRAMES, 1, 3, 4, 4)
    x = run.frames(0, FRAMES)
    inside = x.std(0) > 0
    assert 4 < inside.sum() < 40 and np.allclose(x[:, inside].std(0, ddof=1), 1, atol=1e-4)


def test_smoothing_is_nilearns_and_none_is_none():
    volume = make_bold()[0][..., 0]
    assert smoothed(volume, np.array([3.0, 3, 4]), 0.0) is volume
    theirs = smooth_img(nib.Nifti1Image(volume, AFFINE), 5.0).get_fdata()
    np.testing.assert_allclose(smoothed(volume, np.array([3.0, 3, 4]), 5.0), theirs, rtol=1e-4)


def test_scrubbed_volumes_are_left_out_with_their_labels(prepare, make_source, confound_table, tmp_path):
    confound_table.loc[[20, 41], "framewise_displacement"] = 0.9
    events = tmp_path / "events.tsv"
    write_table(events, pd.DataFrame({"onset": [10.0, 70.0], "duration": 20.0, "trial_type": ["a", "b"]}))
    source = make_source(table=confound_table)
    _, folder = prepare(
        [scan_row(source, target=None, events=str(events))],
        {**DATASET, "target": "trial_type"},
        clips={"unit": "volume", "delay": 4.0},
        bold={"scrub_mm": 0.5},
    )
    record = read_json(folder / "records.json")[source.scan]
    kept = [n for n in range(FRAMES) if n not in (20, 41)]
    assert record["volumes"] == kept and record["frames"] == 58 == Run(folder / f"{source.scan}.zip").shape[0]
    # Events begin after 5 and 35 volumes of 2 s, last 10, and show 2 volumes later.
    shown = {n: "a" for n in range(7, 17)} | {n: "b" for n in range(37, 47)}
    assert record["labels"] == [shown.get(n) for n in kept]
    assert record["target"] is None


def test_a_run_that_is_not_good_enough_is_excluded_with_its_reason(prepare, make_source, confound_table):
    good = make_source(table=confound_table, name="run-1")
    moved = make_source(table=confound_table.assign(framewise_displacement=0.8), name="run-2")
    bare = make_source(name="run-3")
    away = make_source(bold=make_bold(shape=(9, 9, 6))[0], table=confound_table, mask=False, name="run-4")
    rows = [scan_row(s) for s in (good, moved, bare, away)]
    plan, folder = prepare(rows[:3])
    records = read_json(folder / "records.json")
    assert records["run-1"]["excluded"] == ""
    assert records["run-2"]["excluded"] == "mean framewise displacement 0.8 mm, at most 0.5"
    assert "no table of confounds" in records["run-3"]["excluded"]
    assert sorted(p.name for p in folder.glob("*.zip")) == ["run-1.zip"]
    quality = read_table(folder / "quality.tsv", {"scan": str, "excluded": str})
    assert quality["excluded"].isna().tolist() == [True, False, False]
    write_table(folder.parent / "other" / "scans.tsv", pd.DataFrame(rows[3:]))
    write_timed_shard(plan, folder.parent / "other", None, 0, 1, folder.parent / "1")
    assert "another grid (9x9x6)" in read_json(folder.parent / "1" / "records.json")["run-4"]["excluded"]


def test_runs_are_dealt_to_shards_by_row(prepare, make_source, confound_table, tmp_path):
    rows = [scan_row(make_source(table=confound_table, name=f"run-{n}")) for n in range(3)]
    prepare(rows, shards=2)
    found = [set(read_json(tmp_path / "shards" / n / "records.json")) for n in "01"]
    assert found == [{"run-0", "run-2"}, {"run-1"}]
    with pytest.raises(UserError, match="no shard 2 of 2"):
        write_timed_shard({}, tmp_path / "index", None, 2, 2, tmp_path)


def test_series_of_regions_are_painted(prepare, tmp_path, atlas):
    rng = np.random.default_rng(0)
    stored = {f"sub-{n}": rng.normal(size=(40, 2)).astype(np.float32) for n in range(2)}
    np.savez(tmp_path / "site-A_atlas-X_timeseries.npz", **stored)
    rows = [
        {"scan": s, "participant": s, "image": str(tmp_path / "site-A_atlas-X_timeseries.npz"), "frames": 40,
         "target": "a", "repetition_time": 2.0}
        for s in stored
    ]  # fmt: skip
    dataset = {**DATASET, "layout": "timeseries", "atlas": atlas, "regions": [2, 1]}
    plan, folder = prepare(rows, dataset, clips={"views": ["clips", "maps", "series", "connectivity"]})
    run = Run(folder / "sub-1.zip")
    x = run.frames(0, 40)
    assert run.shape == (40, 1, 2, 3, 4) and plan.patch == (2, 3, 4) and plan.views["series"].channels == 2
    expected = stored["sub-1"] - stored["sub-1"].mean(0)
    expected /= expected.std(0, ddof=1)
    # Label 2 lies on the left in the file that runs from right to left, and is the first column.
    np.testing.assert_allclose(x[:, 0, 0, 0, 0], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(x[:, 0, 1, 2, 3], expected[:, 1], atol=1e-5)
    found = load_file(folder / "views.safetensors")
    np.testing.assert_allclose(found["sub-1/series"], expected, atol=1e-5)
    assert found["sub-1/connectivity"][0, 1] == pytest.approx(np.arctanh(np.corrcoef(expected.T)[0, 1]), abs=1e-5)


@pytest.mark.parametrize(("acquisition", "mask"), [("slice", "acq-slice"), ("25mm", "res-25mm")])
def test_haxby(prepare, data_root, acquisition, mask):
    folder = data_root / "haxby2001_bids"
    rows = []
    for number in ("01", "02"):
        name = f"sub-01_task-objectviewing_acq-{acquisition}_run-{number}"
        func = folder / "sub-01" / "func"
        table = func / f"sub-01_task-objectviewing_run-{number}_desc-confounds_timeseries.tsv"
        rows.append({
            "scan": f"{name}_bold", "participant": "sub-01", "image": str(func / f"{name}_bold.nii.gz"), "frames": 121,
            "target": None, "repetition_time": 2.5, "events": str(func / f"{name}_events.tsv"), "confounds": str(table),
            "mask": str(folder / "derivatives/masks/sub-01/anat" / f"sub-01_{mask}_desc-brain_mask.nii.gz"),
            "space": None, "preprocessed": "no",
        })  # fmt: skip
    labels = read_table(folder / "volume_labels.tsv", {})
    kinds = ["bottle", "cat", "chair", "face", "house", "scissors", "scrambledpix", "shoe"]
    dataset = {"layout": "bids", "classes": kinds, "target": "trial_type"}
    _, out = prepare(
        rows, dataset, clips={"unit": "volume", "frames": 4, "delay": 5.0}, bold={"confounds": ["motion", "high_pass"]}
    )
    records = read_json(out / "records.json")
    assert len(labels) == 1452 and all(r["excluded"] == "" for r in records.values())
    for record in records.values():
        assert len(record["labels"]) == 121 and {n for n in record["labels"] if n} == set(kinds)
    x = Run(out / f"{rows[0]['scan']}.zip").frames(0, 121)
    assert np.allclose(x.std(0, ddof=1)[x.std(0) > 0], 1, atol=1e-4)


def test_what_the_spatial_steps_wrote_counts_and_nothing_else(
    prepare, make_source, confound_table, make_spec, tmp_path
):
    folder = tmp_path / "spatial" / "0"
    folder.mkdir(parents=True)
    sources = [make_source(table=confound_table.iloc[:30], name=f"run-{n}") for n in (1, 2)]
    write_table(folder / "run_confounds.tsv", confound_table)
    nib.Nifti1Image(make_bold(seed=5)[0], AFFINE).to_filename(folder / "run_bold.nii.gz")
    done = {
        "bold": "run_bold.nii.gz", "mask": None, "confounds": "run_confounds.tsv", "sidecar": "x.json", "dropped": 3,
        "space": "", "left_out": {"slice_timing": "no SliceTiming"}, "quality": {"anatomical_overlap": 0.9},
    }  # fmt: skip
    write_json(folder / "runs.json", {"run-1": done, "run-2": {"excluded": "no brain is found"}})
    scans = pd.DataFrame([scan_row(s) for s in sources])
    write_table(tmp_path / "index" / "scans.tsv", scans)
    plan = make_timed_plan(make_spec(), scans, DATASET, tmp_path / "spatial")
    write_timed_shard(plan, tmp_path / "index", tmp_path / "spatial", 0, 1, tmp_path / "0")
    records = read_json(tmp_path / "0" / "records.json")
    assert records["run-1"]["excluded"] == "" and records["run-1"]["frames"] == FRAMES
    assert records["run-2"]["excluded"] == "no brain is found"
    quality = read_table(tmp_path / "0" / "quality.tsv", {"anatomical_overlap": float})
    assert quality["anatomical_overlap"][0] == 0.9 and quality["left_out"][0] == "slice_timing: no SliceTiming"
