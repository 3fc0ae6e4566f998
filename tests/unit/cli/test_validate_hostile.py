"""Hostile data sets: each fault ends in one line and status 2, or excludes the scan with its reason, or is harmless."""

import gzip
import json
import os
import resource
import subprocess
import sys

import nibabel as nib
import numpy as np
import pytest

from voxnas.cli.main import main

T1W = "sub-2/anat/sub-2_T1w.nii.gz"
BOLD = "sub-2/func/sub-2_task-rest_bold.nii.gz"
PEOPLE = "participant_id\tsex\tage\nsub-1\tF\t20\nsub-2\tM\t30\nsub-3\tF\t40\n"
SEX, AGE = ["--task", "classification", "--target", "sex"], ["--task", "regression", "--target", "age"]
BOLD_RUNS = ["--suffix", "bold"]


def write_image(path, shape=(5, 6, 7), affine=None, **header):
    """Write an image whose stored header has the given values."""
    values = np.random.default_rng(len(str(path))).integers(1, 99, shape).astype(np.int16)
    data = bytearray(nib.Nifti1Image(values, np.eye(4) if affine is None else affine).to_bytes())
    stored = np.frombuffer(bytes(data[:348]), nib.Nifti1Header.template_dtype).copy()
    for name, value in header.items():
        field, _, place = name.partition("__")
        if place:
            stored[0][field][int(place)] = value
        else:
            stored[0][field] = value
    data[:348] = stored.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(bytes(data)))


@pytest.fixture
def cohort(tmp_path):
    """Three participants with a T1w image and a run each."""
    root = tmp_path / "set"
    for name in ("sub-1", "sub-2", "sub-3"):
        write_image(root / name / "anat" / f"{name}_T1w.nii.gz", (5, 6, 7 + int(name[-1])))
        run = root / name / "func" / f"{name}_task-rest_bold.nii.gz"
        write_image(run, (5, 6, 7, 4), pixdim__4=2, xyzt_units=10)
        run.with_name(f"{name}_task-rest_bold.json").write_text('{"RepetitionTime": 2}')
        run.with_name(f"{name}_task-rest_events.tsv").write_text(
            "onset\tduration\ttrial_type\n0\t2\tface\n4\t1\thouse\n6\t1\tface\n"
        )
    (root / "participants.tsv").write_text(PEOPLE)
    return root


def validate(root, *options):
    try:
        return main(["validate", str(root), *options])
    except SystemExit as end:
        return end.code


def table(text):
    return lambda root: (root / "participants.tsv").write_text(text)


def header(path=T1W, shape=(5, 6, 7), **values):
    return lambda root: write_image(root / path, shape, **values)


def sidecar(text):
    return lambda root: (root / BOLD.replace(".nii.gz", ".json")).write_text(text)


def link(path, target):
    def make(root):
        (root / path).unlink(missing_ok=True)
        os.symlink(target, root / path)

    return make


# Change of the data set, options, exit status, words of the output.
CASES = {
    "an image that links to itself": (link(T1W, "sub-2_T1w.nii.gz"), [], 1, f"{T1W}: a link to missing content"),
    "an entry that links to itself": (link("sub-2/anat/x", "x"), [], 0, "3 usable"),
    "a participant that links to itself": (link("sub-98", "sub-98"), [], 1, "sub-98: a link to missing content"),
    "a participant without content": (link("sub-98", "nowhere"), [], 1, "sub-98: a link to missing content"),
    "a link to a folder above": (link("sub-2/up", ".."), [], 0, "3 usable"),
    "a link to its own folder": (link("sub-2/anat/here", "."), [], 0, "3 usable"),
    "a participant that is the data set": (link("sub-98", "."), [], 1, "sub-98: a link to a folder that contains it"),
    "a stray quote": (table(PEOPLE.replace("M", '"M')), SEX, 0, "3 usable"),
    "quoted cells": (table(PEOPLE.replace("M", '"M"')), SEX, 0, "classification of 'sex', F, M"),
    "a row with a cell too many": (table(PEOPLE + "sub-4\tM\t5\tx\n"), SEX, 2, "line 5 has 4 cells, the header has 3"),
    "a truncated table": (table(PEOPLE[:-5]), SEX, 2, "line 4 has 2 cells, the header has 3"),
    "two columns of one name": (table(PEOPLE.replace("age", "sex")), SEX, 2, "has two columns 'sex'"),
    "a table that is not UTF-8": (lambda root: (root / "participants.tsv").write_bytes(b"participant_id\xff"), SEX, 2,
                                  "participants.tsv is not a tab-separated table"),
    "one class": (table(PEOPLE.replace("M", "F")), SEX, 2, "column 'sex' has one class, 'F'"),
    "one value": (table(PEOPLE.replace("20", "40").replace("30", "40")), AGE, 2, "column 'age' has one value, '40'"),
    "no class": (table(PEOPLE.replace("M", "NaN")), SEX, 2, "sex of sub-2 is missing"),
    "a number of Python": (table(PEOPLE.replace("30", "1_000")), AGE, 1, "age of sub-2 is '1_000', not a number"),
    "infinite age": (table(PEOPLE.replace("30", "1e999")), AGE, 1, "age of sub-2 is '1e999', not a number"),
    "no offset of the voxels": (header(vox_offset=0), [], 1, f"{T1W}: the voxels begin at byte 0"),
    "offset NaN": (header(vox_offset=np.nan), [], 1, f"{T1W}: the voxels begin at byte nan"),
    "offset infinite": (header(vox_offset=np.inf), [], 1, f"{T1W}: the voxels begin at byte inf"),
    "unknown units": (header(BOLD, (5, 6, 7, 4), xyzt_units=201), BOLD_RUNS, 0, "3 usable"),
    "time step infinite": (header(BOLD, (5, 6, 7, 4), pixdim__4=np.inf), BOLD_RUNS, 0, "pixdim[4] is inf"),
    "voxel size -inf": (header(pixdim__1=-np.inf), [], 0, "3 usable"),
    "implausible voxels": (header(affine=np.diag([500, 1, 1, 1])), [], 1, f"{T1W}: implausible voxel size, 500x1x1 mm"),
    "implausible pixdim": (header(sform_code=0, pixdim__2=500), [], 1, "implausible voxel size, 1x500x1 mm"),
    "dependent axes": (header(srow_x=np.full(4, 1e38)), [], 1, "the sform is unusable"),
    "a damaged sidecar": (sidecar('{"RepetitionTime": 2'), BOLD_RUNS, 1, "bold.json is not readable JSON"),
    "an infinite time": (sidecar('{"RepetitionTime": 1e999}'), BOLD_RUNS, 1, 'RepetitionTime is "1e999"'),
    "a nested sidecar": (sidecar(100_000 * "["), BOLD_RUNS, 1, "bold.json is not readable JSON"),
    "a NaN beside the time": (sidecar('{"RepetitionTime": 2, "EchoTime": NaN}'), BOLD_RUNS, 0, "3 usable"),
    "volumes with events": (lambda root: None, [*BOLD_RUNS, "--unit", "volume"], 0, "face 2, house 1"),
    "classes of events": (lambda root: None, [*BOLD_RUNS, "--unit", "volume"], 0, "'trial_type', face, house"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_fault_is_told_and_costs_one_scan(cohort, capsys, case):
    change, options, status, words = CASES[case]
    change(cohort)
    found = validate(cohort, *options)
    told = capsys.readouterr()
    assert (found, words in told.out + told.err) == (status, True), told.out + told.err
    assert told.err.count("\n") <= 1


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": {"background": 0, "x": float("inf")}}, "label 'x'"),
        ({"labels": {"background": 0, "x": True}}, "label 'x'"),
        ({"labels": {"background": 0, "x": 2**40}}, "label values must be distinct integers"),
        ({"labels": {f"l{i}": i for i in range(2000)}}, "has 2000 labels"),
        ({"training": None, "file_ending": "*"}, "imagesTr has no ** files"),
    ],
)
def test_a_hostile_description_is_one_line(tmp_path, capsys, change, words):
    for name in ("a", "b"):
        write_image(tmp_path / f"imagesTr/{name}.nii.gz")
        write_image(tmp_path / f"labelsTr/{name}.nii.gz")
    pairs = [{"image": f"imagesTr/{n}.nii.gz", "label": f"labelsTr/{n}.nii.gz"} for n in "ab"]
    described = {"modality": {"0": "T1"}, "labels": {"0": "no", "1": "x"}, "training": pairs} | change
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    assert validate(tmp_path) == 2
    told = capsys.readouterr().err
    assert words in told and "dataset.json" in told and told.count("\n") == 1


@pytest.mark.parametrize("kind", ["complex", "text", "missing targets"])
def test_an_archive_without_numbers_is_excluded(tmp_path, capsys, kind):
    images, labels = np.arange(4 * 125).reshape(4, 5, 5, 5), np.array([0.0, 1, 0, 1])
    images = {"complex": images + 1j, "text": images.astype("U4"), "missing targets": images}[kind]
    labels = np.where(labels == 0, np.nan, labels) if kind == "missing targets" else labels
    np.savez(tmp_path / "a.npz", train_images=images, train_labels=labels)
    assert validate(tmp_path, "--task", "classification", "--target", "labels") == 2
    told = capsys.readouterr()
    assert {"complex": "complex128", "text": "<U4", "missing targets": "is missing (NaN)"}[kind] in told.out


MEASURE = """
import pathlib, re, sys
from voxnas.cli.main import main
status = main(["validate", *sys.argv[1:]])
peak = re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())  # of this program alone
print(f"peak {int(peak[1]) // 1024} MiB")
sys.exit(status)
"""


def zeros(path, shape, dtype=np.uint8):
    """Write a compressed image of zeros without holding it in memory."""
    written = nib.Nifti1Header()
    written.set_data_shape(shape)
    written.set_data_dtype(dtype)
    written.set_sform(np.eye(4), 1)
    written["magic"], written["vox_offset"] = b"n+1", 352
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = np.zeros((16, *shape[:2]), dtype).tobytes()
    with gzip.open(path, "wb", 1) as file:
        file.write(written.binaryblock + b"\0" * 4)
        for _ in range(shape[2] // 16):
            file.write(planes)


@pytest.mark.parametrize(
    ("shape", "words", "limit"),
    [((1024, 1024, 1024), "1024x1024x1024 voxels need 4 GB of memory", 500), ((512, 512, 256), "all voxels are", 600)],
)
def test_the_memory_of_a_compressed_image_is_bounded(tmp_path, shape, words, limit):
    path = tmp_path / "x.nii.gz"
    zeros(path, shape)
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))}
    done = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, timeout=100, **limits)
    assert words in done.stdout, done.stdout + done.stderr
    assert int(done.stdout.split("peak ")[1].split()[0]) < limit
