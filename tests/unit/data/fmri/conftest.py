import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.core.settings import parse_settings
from voxnas.core.spec import stage_spec
from voxnas.data.fmri.source import Source
from voxnas.io.tables import write_table

SHAPE, FRAMES, INTERVAL = (8, 9, 6), 60, 2.0
AFFINE = np.diag([-3.0, 3.0, 4.0, 1.0])  # L, A, S: reading reverses the first axis
AFFINE[:3, 3] = (12.0, -12.0, -10.0)


def make_bold(seed=0, frames=FRAMES, shape=SHAPE, noise=5.0):
    """Simulate a series (X, Y, Z, T): a brain of intensity 1000 in an empty box, with drift and noise."""
    rng = np.random.default_rng(seed)
    brain = np.zeros(shape, bool)
    brain[1:-1, 2:-2, min(1, shape[2] - 1) :] = True
    level = np.where(brain, 1000 + 50 * np.random.default_rng(99).normal(size=shape), 0)[..., None]
    drift = np.linspace(-10, 10, frames)
    return (level + brain[..., None] * (drift + noise * rng.normal(size=(*shape, frames)))).astype(np.float32), brain


def make_motion(seed=0, frames=FRAMES, size=0.02):
    """Draw translations in mm, then rotations in rad, (T, 6)."""
    walk = np.cumsum(np.random.default_rng(seed).normal(size=(frames, 6)), axis=0) * size
    walk[:, 3:] /= 50
    return walk


@pytest.fixture
def confound_table():
    """The columns of fMRIPrep that the strategies use."""
    rng = np.random.default_rng(3)
    names = ("trans_x", "trans_y", "trans_z", "rot_x", "rot_y", "rot_z")
    table = pd.DataFrame(make_motion(), columns=names)
    for name in names:
        table[f"{name}_derivative1"] = table[name].diff()
        table[f"{name}_power2"] = table[name] ** 2
        table[f"{name}_derivative1_power2"] = table[f"{name}_derivative1"] ** 2
    for name in ("csf", "white_matter", "global_signal"):
        table[name] = 1000 + rng.normal(size=FRAMES)
    table["framewise_displacement"] = [np.nan, *np.abs(rng.normal(0.1, 0.02, FRAMES - 1))]
    return table


@pytest.fixture
def make_source(tmp_path):
    """Write a run with its mask and table; return its files."""

    def write(bold=None, table=None, mask=True, space="", name="sub-1_task-rest", **changed):
        data, brain = make_bold()
        data = data if bold is None else bold
        files = {kind: tmp_path / f"{name}_{kind}.nii.gz" for kind in ("bold", "mask")}
        image = nib.Nifti1Image(data, AFFINE)
        image.header.set_zooms((*image.header.get_zooms()[:3], INTERVAL))
        image.to_filename(files["bold"])
        nib.Nifti1Image(brain.astype(np.uint8), AFFINE).to_filename(files["mask"])
        path = None
        if table is not None:
            path = tmp_path / f"{name}_desc-confounds_timeseries.tsv"
            write_table(path, table)
        values = {"dropped": 0, "preprocessed": False, "repetition_time": INTERVAL, **changed}
        return Source(name, files["bold"], files["mask"] if mask else None, path, space=space, **values)

    return write


@pytest.fixture
def make_spec():
    """Make the spec of preprocessing; the arguments are settings by section."""

    def spec(task="classification", **sections):
        raw = {"task": task, "data_root": "x", "data": {"suffix": "bold", "target": "group"}}
        raw |= {"bold": {"confounds": ["motion"], "motion": "basic"}, "clips": {"frames": 8}}
        for name, values in sections.items():
            raw[name] = {**raw.get(name, {}), **values}
        return stage_spec(parse_settings(raw), "preprocess")

    return spec


def scan_row(source, target="a", **more):
    """Return a row of scans.tsv."""
    paths = {kind: path and str(path) for kind, path in (("confounds", source.confounds), ("mask", source.mask))}
    row = {
        "scan": source.scan, "participant": "sub-1", "image": str(source.bold), "frames": FRAMES, "target": target,
        "repetition_time": source.repetition_time, "events": None, **paths, "space": source.space or None,
        "preprocessed": "no",
    }  # fmt: skip
    return {**row, **more}


@pytest.fixture
def atlas(tmp_path):
    labels = np.zeros(SHAPE, np.int16)
    labels[2:4, 3:6, 2:4], labels[4:6, 3:6, 2:4] = 1, 2
    nib.Nifti1Image(labels, AFFINE).to_filename(tmp_path / "atlas.nii.gz")
    return str(tmp_path / "atlas.nii.gz")
