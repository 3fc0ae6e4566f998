import json
from functools import lru_cache

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.cli.main import main
from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.data import phantom_bold
from voxnas.data.fmri.pose import MOTION, to_matrix
from voxnas.data.phantom import SITES, Person, load_template, make_head
from voxnas.data.phantom_bold import (
    NON_STEADY,
    RESPONSES,
    draw_events,
    draw_motion,
    generate_bold_phantom,
    interleaved,
    make_run,
)
from voxnas.io.records import write_json

FRAMES = 24


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    root = tmp_path_factory.mktemp("bold")
    generate_bold_phantom(root, participants=4, spacing_mm=8.0, seed=5, runs=1, frames=FRAMES)
    return root


def person(site=SITES[1], group="control", age=40.0):
    return Person("sub-01", age, group, site, 0.3)


@lru_cache(maxsize=4)
def head_of(spacing):
    return make_head(load_template(spacing), person(), spacing / 2, np.random.default_rng(3))


def scan(spacing=8.0, frames=48, seed=0, **who):
    head = head_of(spacing)
    return head, make_run(head, person(**who), spacing, np.random.default_rng(seed), frames)


def positions(run):
    """Return the positions of the voxels in mm, (X, Y, Z, 3)."""
    return nib.affines.apply_affine(run.affine, np.moveaxis(np.indices(run.image.shape[:3]), 0, -1))


def test_the_tree_is_bids_with_all_that_a_run_needs(cohort):
    runs = sorted(cohort.glob("sub-*/func/*_bold.nii.gz"))
    assert len(runs) == 4 and len(list(cohort.glob("sub-*/anat/*_T1w.nii.gz"))) == 4
    table = pd.read_csv(cohort / "participants.tsv", sep="\t").set_index("participant_id")
    assert {"group", "age", "site"} <= set(table.columns)
    sites = {s.name: s for s in SITES}
    for path in runs:
        site = sites[table.loc[path.name.split("_")[0], "site"]]
        image = nib.load(path)
        assert image.shape[3] == FRAMES and image.header.get_zooms()[3] == 2.0
        assert "".join(nib.aff2axcodes(image.affine)) == site.orientation
        sidecar = json.loads(path.with_name(path.name.replace("nii.gz", "json")).read_text())
        assert sidecar["RepetitionTime"] == 2.0 and len(sidecar["SliceTiming"]) == image.shape[2]
        assert min(sidecar["SliceTiming"]) == 0 and max(sidecar["SliceTiming"]) < 2.0
        events = pd.read_csv(path.with_name(path.name.replace("_bold.nii.gz", "_events.tsv")), sep="\t")
        assert set(events["trial_type"]) <= set(RESPONSES) and (events["onset"] < 2.0 * FRAMES).all()
        name = path.name.replace("_bold.nii.gz", "_desc-motion_timeseries")
        truth = cohort / "derivatives" / "phantom" / path.name.split("_")[0] / "func" / name
        assert list(pd.read_csv(f"{truth}.tsv", sep="\t")) == list(MOTION)
        assert json.loads(truth.with_suffix(".json").read_text())["NonSteadyVolumes"] == NON_STEADY[site.name]


def test_the_same_arguments_give_the_same_bytes_by_the_command(tmp_path, monkeypatch):
    monkeypatch.setattr(phantom_bold.generate_bold_phantom, "__defaults__", (1, 6))
    data = {"suffix": "bold", "phantom": {"participants": 4, "spacing": 8.0}}
    settings = parse_settings({"task": "classification", "seed": 5, "data": data})
    write_json(tmp_path / "index.json", stage_spec(settings, "index"))
    for name in ("a", "b"):
        assert main(["phantom", "--spec", str(tmp_path / "index.json"), "--output", str(tmp_path / name)]) == 0
    files = [{p.relative_to(tmp_path / n): p.read_bytes() for p in (tmp_path / n).rglob("*.*")} for n in ("a", "b")]
    assert files[0] == files[1] and any(p.name.endswith("_bold.nii.gz") for p in files[0])


def test_a_head_is_where_its_motion_says():
    head, run = scan(frames=30)
    world = positions(run).reshape(-1, 3)
    shares = head.csf + head.grey + head.white
    fine = np.indices(shares.shape).reshape(3, -1)
    middle = nib.affines.apply_affine(head.affine, np.average(fine, axis=1, weights=shares.ravel()))
    for t in (5, 29):
        weights = np.where(run.image[..., t] > 200, 1.0, 0.0).ravel()
        found = np.average(world, axis=0, weights=weights)
        there = nib.affines.apply_affine(to_matrix(run.motion[t], run.centre), middle)
        assert np.abs(found - there).max() < 1.5


def test_pictures_raise_the_signal_of_their_regions_only():
    _, run = scan(frames=72)
    shown = run.events[run.events["trial_type"] == "faces"]
    times = 2.0 * np.arange(72)
    on = np.any(
        [(times > o + 5) & (times < o + d + 4) for o, d in zip(shown.onset, shown.duration, strict=True)], axis=0
    )
    mean = run.image.mean(axis=3)
    change = (run.image[..., on].mean(axis=3) - run.image[..., ~on].mean(axis=3)) / np.maximum(mean, 200)
    world = positions(run)
    near = np.min([np.linalg.norm(world - place, axis=-1) for place in RESPONSES["faces"]], axis=0)
    brain = mean > 200
    assert change[brain & (near < 14)].mean() > 4 * abs(change[brain & (near > 40)].mean())


def test_first_volumes_are_brighter_where_the_site_says_so():
    for site in SITES:
        _, run = scan(frames=10, site=site)
        level = run.image[..., :].reshape(-1, 10).mean(axis=0)
        bright = level > 1.05 * np.median(level[5:])
        assert bright.sum() == NON_STEADY[site.name] and run.non_steady == NON_STEADY[site.name]


def test_the_default_network_is_looser_in_the_group_atrophy():
    coupling = {}
    for group in ("control", "atrophy"):
        found = []
        for seed in range(3):
            _, run = scan(frames=72, seed=seed, group=group)
            world = positions(run)
            series = []
            for place in ((0, -54, 28), (-46, -66, 32), (46, -66, 32)):
                near = (np.linalg.norm(world - place, axis=-1) < 12) & (run.image[..., 10] > 200)
                series.append(run.image[near][:, 3:].mean(axis=0))
            found.append(np.corrcoef(series)[np.triu_indices(3, 1)].mean())
        coupling[group] = np.mean(found)
    assert coupling["control"] > coupling["atrophy"] + 0.15


def test_parts_of_a_run():
    rng = np.random.default_rng(0)
    motion = draw_motion(1200, rng)
    assert motion.shape == (1200, 6) and np.abs(motion[:, :3]).max() > 0.3
    assert draw_motion(20, rng, scale=0).any() == False  # noqa: E712
    events = draw_events(144, rng)
    assert len(events) == 6 and set(events["trial_type"].value_counts()) == {2}
    assert interleaved(5, 2.0).tolist() == pytest.approx([0, 1.2, 0.4, 1.6, 0.8])
