import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from voxnas.core.errors import UserError
from voxnas.core.settings import StudySettings
from voxnas.core.spec import stage_spec
from voxnas.data.fingerprint import MAX_VOXELS, choose_patch, choose_spacing, make_plan, pooling

DATASET = {"labels": {"0": "background", "1": "one"}, "classes": ["a", "b"], "target": "age"}


def spec(task="segmentation", patch="auto", **preprocess):
    settings = StudySettings(task=task, preprocess=preprocess, training={"patch": patch})
    return stage_spec(settings, "preprocess")


@pytest.fixture
def scans(tmp_path):
    """Three scans whose non-zero box is 35 x 51 x 36 mm, in 70 x 51 x 36 voxels."""
    rows = []
    for number in range(3):
        array = np.zeros((72, 53, 40), np.uint8)
        array[1:71, 1:52, 2:38] = 1 + number
        path = tmp_path / f"{number}.nii"
        nib.save(nib.Nifti1Image(array, np.diag([0.5, 1, 1, 1])), path)
        rows.append((f"s{number}", str(path), 1, 1, str(20 + number)))
    return pd.DataFrame(rows, columns=["scan", "image", "channels", "frames", "target"])


def test_plan_of_small_scans(scans):
    plan = make_plan(spec(spacing=(1, 1, 1)), scans, DATASET)
    assert plan.plain()["fingerprint"] == {"median_shape": [35, 51, 36], "median_spacing": [0.5, 1.0, 1.0], "scans": 3}
    assert (plan.patch, plan.extent) == ((40, 56, 40), (36, 51, 35))
    assert plan.strides == ((1, 1, 1), (2, 2, 2), (2, 2, 2), (2, 2, 2))
    assert plan.kernels == ((3, 3, 3),) * 4
    assert (plan.channels, plan.outputs, plan.classes) == (1, 2, ())
    assert plan.masked is False
    assert make_plan(spec(), scans, DATASET).spacing == (0.5, 1.0, 1.0)
    assert make_plan(spec(crop=False), scans, DATASET).fingerprint.median_shape == (72, 53, 40)


def test_plan_does_not_depend_on_the_order_of_rows(scans):
    assert make_plan(spec(), scans, DATASET) == make_plan(spec(), scans.iloc[::-1], DATASET)


def test_a_stripped_background_is_noticed(scans):
    for path in scans["image"]:
        array = np.zeros((40, 40, 40), np.uint8)
        array[10:30, 10:30, 10:30] = 1
        nib.save(nib.Nifti1Image(array, np.eye(4)), path)
    plan = make_plan(spec(), scans, DATASET)
    assert plan.masked is True
    assert plan.fingerprint.median_shape == (20, 20, 20)


def test_a_given_patch_is_in_the_order_x_y_z(scans):
    plan = make_plan(spec(patch=(32, 48, 40), spacing=(1, 1, 1)), scans, DATASET)
    assert (plan.patch, plan.extent) == ((40, 48, 32), None)
    with pytest.raises(UserError, match=r"training.patch = \[33, 48, 40\] .* nearest .* patch is \[32, 48, 40\]"):
        make_plan(spec(patch=(33, 48, 40), spacing=(1, 1, 1)), scans, DATASET)


def test_outputs_by_task(scans):
    assert make_plan(spec("classification"), scans, DATASET).outputs == 2
    assert make_plan(spec("classification"), scans, DATASET).extent is None  # the patch covers most whole scans
    assert make_plan(spec("regression"), scans, DATASET).outputs == 1
    assert make_plan(spec("regression"), scans, DATASET).labels == {}
    with pytest.raises(UserError, match="one class only"):
        make_plan(spec("classification"), scans, {**DATASET, "classes": ["a"]})
    with pytest.raises(UserError, match="no labels besides"):
        make_plan(spec(), scans, {**DATASET, "labels": {"0": "background"}})
    with pytest.raises(UserError, match="'s1': age = 'old' is not a number"):
        make_plan(spec("regression"), scans.assign(target=["20", "old", "30"]), DATASET)


def test_impossible_data_is_named(scans):
    with pytest.raises(UserError, match="no scans are left"):
        make_plan(spec(), scans.iloc[:0], DATASET)
    with pytest.raises(UserError, match="'s1' has another number of channels"):
        make_plan(spec(), scans.assign(channels=[1, 2, 1]), DATASET)
    with pytest.raises(UserError, match="'s2' is a time series"):
        make_plan(spec(), scans.assign(frames=[1, 1, 90]), DATASET)


def test_spacing_is_the_median_or_the_tenth_percentile():
    assert choose_spacing(np.array([[1, 1, 1], [1, 1, 1], [2, 2, 2]])) == (1, 1, 1)
    coarse = np.array([[1, 1, s] for s in (2, 4, 5, 5, 6)], dtype=float)
    assert choose_spacing(coarse) == (1, 1, pytest.approx(2.8))
    # The coarse axis never becomes finer than the others.
    mixed = np.array([[1, 1, s] for s in (0.2, 0.2, 5, 5, 6)], dtype=float)
    assert choose_spacing(mixed) == (1, 1, 1)


@pytest.mark.parametrize(
    ("patch", "spacing", "strides"),
    [
        ((36, 50, 35), (1, 1, 1), [(2, 2, 2)] * 3),
        ((128, 128, 128), (1, 1, 1), [(2, 2, 2)] * 5),
        ((20, 160, 160), (5, 1, 1), [(1, 2, 2), (1, 2, 2), (2, 2, 2), (2, 2, 2), (1, 2, 2)]),
        ((7, 7, 7), (1, 1, 1), []),
        ((71, 83, 68), (2, 2, 2), [(2, 2, 2)] * 3),
        ((80, 96, 80), (2, 2, 2), [(2, 2, 2)] * 4),
    ],
)
def test_pooling(patch, spacing, strides):
    found, kernels = pooling(patch, spacing)
    assert found[0] == [1, 1, 1]
    assert [tuple(s) for s in found[1:]] == strides
    assert len(kernels) == len(found)


def test_kernels_are_flat_along_a_coarse_axis_until_it_is_no_longer_coarse():
    _, kernels = pooling((20, 160, 160), (5, 1, 1))
    assert kernels[:3] == [[1, 3, 3], [1, 3, 3], [3, 3, 3]]


def test_large_scans_get_a_patch_of_equal_length():
    assert choose_patch((30, 40, 50), (1, 1, 1)) == [30, 40, 50]
    assert choose_patch((300, 300, 300), (1, 1, 1)) == [128, 128, 128]
    flat = choose_patch((20, 600, 600), (5, 1, 1))
    assert flat[0] == 20 and flat[1] == flat[2]
    assert 0.97 * MAX_VOXELS < np.prod(flat) <= MAX_VOXELS
