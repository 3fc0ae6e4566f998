import pytest
import torch

from voxnas.core.errors import UserError
from voxnas.core.splits import Splits
from voxnas.data.dataset import StudyData
from voxnas.data.samples import Sample
from voxnas.io.records import read_json, write_json

GRID = (2, 6, 5)


def test_runs_that_are_too_poor_are_in_no_fold(timed_study):
    data = StudyData(timed_study())
    assert data.validation_scans(1) == ["sub-02_run-1"]
    assert data.development_scans() == ["sub-01_run-1", "sub-01_run-2", "sub-02_run-1"]


def test_a_window_has_the_volumes_that_it_names(timed_study):
    data = StudyData(timed_study())
    clip = data.input(Sample("sub-01_run-1", 3, "old", "", ""))
    assert clip.shape == (4, 1, *GRID)
    assert clip[:, 0, 0, 0, 0].tolist() == [203, 205, 207, 209]


@pytest.mark.parametrize(("start", "values"), [(-3, [0, 0, 201, 203]), (-9, [0, 0, 0, 0]), (17, [217, 219, 0, 0])])
def test_outside_the_run_a_window_is_0(timed_study, start, values):
    data = StudyData(timed_study())
    clip = data.input(Sample("sub-01_run-1", start, "old", "", ""))
    assert clip[:, 0, 1, 2, 3].tolist() == values


@pytest.mark.parametrize(
    ("view", "shape"),
    [("clips", (4, 1, 2, 6, 5)), ("maps", (2, 2, 6, 5)), ("series", (4, 1, 1, 4)), ("connectivity", (1, 1, 4, 4))],
)
def test_each_view_has_the_shape_of_its_plan(timed_study, view, shape):
    data = StudyData(timed_study(), view)
    samples = data.samples(data.development_scans())
    assert {tuple(data.input(s).shape) for s in samples} == {shape}
    assert data.plan.channels == (shape[1] if view == "clips" else shape[0])
    assert len(samples) == 3 * (3 if view in ("clips", "series") else 1)


def test_maps_of_a_labelled_volume_are_those_of_its_window(timed_study):
    data = StudyData(timed_study("volume"), "maps")
    sample = data.samples(["sub-01_run-1"])[1]
    assert sample.case == "sub-01_run-1_volume-0003" and sample.start == -3
    maps = data.input(sample)
    assert maps[0].unique().tolist() == [pytest.approx((201 + 203) / 4)]


def test_locked_runs_are_shut_in_every_view(timed_study):
    paths = timed_study()
    for view in ("clips", "series", "connectivity"):
        data = StudyData(paths, view)
        with pytest.raises(PermissionError):
            data.samples(["sub-00_run-1"])
        with pytest.raises(PermissionError):
            data.input(Sample("sub-00_run-1", 0, "old", "", ""))
        data.unlock(["sub-00_run-1"])
        assert torch.isfinite(data.input(data.samples(["sub-00_run-1"])[0])).all()


def test_a_view_that_is_not_prepared_is_named(timed_study):
    with pytest.raises(UserError, match="reads the view 'alff'"):
        StudyData(timed_study(), "alff")


def test_blocks_of_one_run_are_read_by_split_and_locked(timed_study):
    study, run = timed_study("volume"), "sub-00_run-1"
    records = read_json(study.runs(0) / "records.json")
    shown = {1: 0, 2: 0, 5: 1, 6: 1, 9: 2, 10: 2, 17: 3, 18: 3}  # the block of each labelled volume
    blocks = [shown.get(volume) for volume in range(20)]
    labels = [None if block is None else ("old", "young")[block % 2] for block in blocks]
    records[run] |= {"labels": labels, "blocks": blocks, "repetition_time": 2.0}
    write_json(study.runs(0) / "records.json", records)
    names = [f"{run}_block-{n:03d}" for n in range(4)]
    write_json(study.splits, Splits(unit="block", within=True, test=names[3:], folds=[names[:1], names[1:3]]))
    data = StudyData(study)
    assert data.train_scans(0) == names[1:3] and data.validation_scans(0) == names[:1]
    samples = data.samples(data.development_scans())
    # The windows of volumes 5 and 6 reach block 0, which is in the other fold.
    assert [sample.case.rpartition("-")[2] for sample in samples] == ["0001", "0002", "0009", "0010"]
    assert float(data.input(samples[0])[-1].mean()) == 1.0
    with pytest.raises(PermissionError):
        data.samples(names[3:])
    with pytest.raises(PermissionError):
        data.input(Sample(names[3], 11, "young", "", ""))
    data.unlock(names[3:])
    assert [(s.target, float(data.input(s)[-1].mean())) for s in data.samples(names[3:])] == [
        ("young", 17),
        ("young", 18),
    ]
