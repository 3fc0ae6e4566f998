import itertools

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import changed, volume_plan

from voxnas.core.errors import ScanError
from voxnas.data.preprocess import (
    interpolation_matrix,
    nonzero_box,
    normalize,
    preprocess_scan,
    resample,
    restore_labels,
    restore_probabilities,
)

ORIENTATIONS = [
    "".join(codes) for axes in itertools.permutations(("RL", "AP", "SI")) for codes in itertools.product(*axes)
]
PLAN = volume_plan(masked=True, labels={"0": "background", "2": "left", "7": "right"})


def save(path, array, spacing=(1.0, 1.0, 1.0), orientation="RAS", tilt=0.0):
    """Store an array as it is, with an affine of the given orientation, turned by `tilt` rad about S."""
    affine = nib.orientations.inv_ornt_aff(nib.orientations.axcodes2ornt(orientation), array.shape[:3])
    affine = affine @ np.diag([*spacing, 1.0])
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]]
    nib.save(nib.Nifti1Image(array, turn @ affine), path)
    return path


def head(shape, seed=0):
    """A box of random intensities in a background of zeros, with labels 2 and 7 inside."""
    rng = np.random.default_rng(seed)
    image, label = np.zeros(shape, np.float32), np.zeros(shape, np.uint8)
    inner = tuple(slice(1, n - 1) for n in shape)
    image[inner] = rng.uniform(1, 100, size=image[inner].shape)
    label[inner] = rng.choice([0, 2, 7], size=image[inner].shape)
    return image, label


@settings(max_examples=40, deadline=None)
@given(
    shape=st.tuples(*[st.integers(5, 9)] * 3),
    orientation=st.sampled_from(ORIENTATIONS),
    tilt=st.floats(-0.3, 0.3),
    crop=st.booleans(),
    seed=st.integers(0, 99),
)
def test_labels_return_exactly_to_any_grid(tmp_path_factory, shape, orientation, tilt, crop, seed):
    folder = tmp_path_factory.mktemp("scan")
    image, label = head(shape, seed)
    paths = [save(folder / f"{n}.nii", a, orientation=orientation, tilt=tilt) for n, a in (("i", image), ("l", label))]
    prepared = preprocess_scan(paths[:1], paths[1], changed(PLAN, crop=crop))
    assert prepared.image.shape[1:] == prepared.label.shape
    assert set(np.unique(prepared.label)) <= {0, 1, 2}
    restored = restore_labels(prepared.label, prepared.geometry)
    assert np.array_equal(restored, label)
    one_hot = np.eye(3, dtype=np.float32)[prepared.label].transpose(3, 0, 1, 2)
    probabilities = restore_probabilities(one_hot, prepared.geometry)
    assert np.array_equal(np.array([0, 2, 7])[probabilities.argmax(0)], label)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", "PSR", "SLA"])
def test_anatomy_does_not_depend_on_the_stored_orientation(tmp_path, orientation):
    image, _ = head((6, 7, 8))
    change = nib.orientations.ornt_transform(
        nib.orientations.axcodes2ornt("RAS"), nib.orientations.axcodes2ornt(orientation)
    )
    stored = nib.Nifti1Image(image, np.eye(4)).as_reoriented(change)
    assert "".join(nib.aff2axcodes(stored.affine)) == orientation
    nib.save(stored, tmp_path / "stored.nii")
    prepared = preprocess_scan([tmp_path / "stored.nii"], None, changed(PLAN, normalize="none", crop=False))
    assert prepared.label is None
    assert np.array_equal(prepared.image[0], image.transpose(2, 1, 0))


@settings(max_examples=25, deadline=None)
@given(
    spacing=st.tuples(*[st.floats(0.6, 2.5)] * 3),
    orientation=st.sampled_from(ORIENTATIONS),
)
def test_a_resampled_ball_returns_to_its_place(tmp_path_factory, spacing, orientation):
    folder = tmp_path_factory.mktemp("scan")
    axes = np.meshgrid(*[(np.arange(20) - 9.5)] * 3, indexing="ij")
    label = (np.sqrt(sum(a**2 for a in axes)) < 7.5).astype(np.uint8) * 7
    image = np.ones(label.shape, np.float32)
    paths = [save(folder / f"{n}.nii", a, spacing, orientation) for n, a in (("i", image), ("l", label))]
    prepared = preprocess_scan(paths[:1], paths[1], changed(PLAN, masked=False))
    stored_axes = np.array(prepared.geometry["orientation"])[:, 0]
    expected = np.round(20 * np.array(spacing)[np.argsort(stored_axes)])
    assert np.abs(np.array(prepared.image.shape[:0:-1]) - expected).max() <= 1
    restored = restore_labels(prepared.label, prepared.geometry)
    assert restored.shape == label.shape
    overlap = 2 * ((restored == 7) & (label == 7)).sum() / ((restored == 7).sum() + (label == 7).sum())
    assert overlap > 0.88  # at the finest spacing one voxel of the grid between is nearly two of the scan
    half = np.full((3, *prepared.label.shape), 1 / 3, np.float32)
    np.testing.assert_allclose(restore_probabilities(half, prepared.geometry).sum(0), 1, rtol=1e-5)


def test_resampling_does_not_change_the_statistics(tmp_path):
    axes = np.meshgrid(*[np.arange(24) - 11.5] * 3, indexing="ij")
    ball = np.sqrt(sum(a**2 for a in axes)) < 8
    image = np.where(ball, np.random.default_rng(0).normal(100, 10, size=ball.shape), 0).astype(np.float32)
    whole = preprocess_scan([save(tmp_path / "a.nii", image)], None, PLAN).image[0]
    finer = preprocess_scan([save(tmp_path / "b.nii", image, (1.5, 1.5, 1.5))], None, PLAN).image[0]
    assert finer.shape == (24, 24, 24) and whole.shape == (16, 16, 16)
    for cube in (whole[6:10, 6:10, 6:10], finer[9:15, 9:15, 9:15]):
        assert abs(cube.mean()) < 0.3
    assert finer.min() > whole.min() - 1e-5


def test_nearly_equal_spacing_is_not_resampled(tmp_path):
    image, _ = head((8, 8, 8))
    path = save(tmp_path / "i.nii", image, (1.0005, 1.0, 0.9995))
    prepared = preprocess_scan([path], None, changed(PLAN, normalize="none"))
    assert np.array_equal(prepared.image[0], image[1:-1, 1:-1, 1:-1].transpose(2, 1, 0))
    assert prepared.geometry["box"] == [[1, 7]] * 3
    assert prepared.geometry["size"] == [6, 6, 6]


def test_outside_of_the_box_is_background(tmp_path):
    image, _ = head((8, 8, 8))
    geometry = preprocess_scan([save(tmp_path / "i.nii", image)], None, PLAN).geometry
    probabilities = np.zeros((3, 6, 6, 6), np.float32)
    probabilities[2] = 1
    restored = restore_probabilities(probabilities, geometry)
    assert (restored[2] == (image > 0)).all()
    assert (restored[0] == (image == 0)).all()
    with pytest.raises(ValueError, match="do not fit"):
        restore_probabilities(probabilities[:, 1:], geometry)


def test_channels_of_one_file_or_of_many_are_the_same(tmp_path):
    parts = [head((6, 7, 8), seed)[0] for seed in (0, 1)]
    paths = [save(tmp_path / f"{n}.nii", part) for n, part in enumerate(parts)]
    both = save(tmp_path / "both.nii", np.stack(parts, axis=-1))
    plan = changed(PLAN, channels=2)
    many, one = preprocess_scan(paths, None, plan), preprocess_scan([both], None, plan)
    assert many.image.shape == (2, 6, 5, 4)
    assert np.array_equal(many.image, one.image)


def test_what_does_not_fit_is_named(tmp_path):
    image, label = head((6, 7, 8))
    path = save(tmp_path / "i.nii", image)
    with pytest.raises(ScanError, match=r"i\.nii has 1 channel\(s\), the plan has 2"):
        preprocess_scan([path], None, changed(PLAN, channels=2))
    short = save(tmp_path / "short.nii", label[:-1])
    with pytest.raises(ScanError, match=r"short\.nii has shape \(5, 7, 8\)"):
        preprocess_scan([path], short, PLAN)
    with pytest.raises(ScanError, match=r"short\.nii has shape"):
        preprocess_scan([path, short], None, changed(PLAN, channels=2))
    with pytest.raises(ScanError, match=r"unknown\.nii"):
        preprocess_scan([path], save(tmp_path / "unknown.nii", label + 1), PLAN)


@pytest.mark.parametrize("value", [0, 5])
@pytest.mark.parametrize("method", ["zscore", "percentile"])
def test_a_constant_image_is_all_zero_without_warning(tmp_path, value, method):
    path = save(tmp_path / "i.nii", np.full((5, 6, 7), value, np.float32))
    with np.errstate(all="raise"):
        prepared = preprocess_scan([path], None, changed(PLAN, normalize=method))
    assert prepared.image.shape == (1, 7, 6, 5)
    assert not prepared.image.any()


def test_normalization_over_the_foreground():
    image, _ = head((10, 10, 10))
    inside = image > 0
    scored = normalize(image, "zscore", masked=True)
    assert not scored[~inside].any()
    assert abs(scored[inside].mean()) < 1e-5
    assert abs(scored[inside].std() - 1) < 1e-5
    whole = normalize(image, "zscore", masked=False)
    assert abs(whole.mean()) < 1e-5 and whole[~inside].max() < 0
    ranked = normalize(image, "percentile", masked=False)
    assert ranked.min() == 0 and ranked.max() == 1
    assert np.array_equal(normalize(image, "none", masked=True), image)


def test_an_extreme_voxel_does_not_determine_the_scale():
    image, _ = head((20, 20, 20))
    extreme = image.copy()
    extreme[9, 9, 9] = 1e6
    change = np.abs(normalize(extreme, "zscore", masked=True) - normalize(image, "zscore", masked=True))
    change[9, 9, 9] = 0
    assert change.max() < 0.1  # 1.7 without clipping
    sparse = np.zeros((20, 20, 20), np.float32)
    sparse[9, 9, 9:12] = 1  # less than the percentiles leave out
    assert normalize(sparse, "zscore", masked=False)[9, 9, 9] > 10


def test_a_scan_that_would_need_too_much_memory_is_named(tmp_path):
    path = save(tmp_path / "wide.nii", np.ones((40, 40, 40), np.float32), (50, 50, 50))
    with pytest.raises(ScanError, match=r"wide\.nii: 2000x2000x2000 mm need 32 GB of memory"):
        preprocess_scan([path], None, PLAN)


def test_box_and_matrix():
    channels = np.zeros((2, 5, 6, 7))
    channels[0, 1, 2, 3] = -1
    channels[1, 3, 2, 6] = 1
    assert nonzero_box(channels) == [[1, 4], [2, 3], [3, 7]]
    assert nonzero_box(channels * 0) == [[0, 5], [0, 6], [0, 7]]
    np.testing.assert_array_equal(interpolation_matrix(4, 4), np.eye(4))
    np.testing.assert_allclose(interpolation_matrix(2, 4), [[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    for size, target in itertools.product((1, 2, 7, 30), repeat=2):
        np.testing.assert_allclose(interpolation_matrix(size, target).sum(axis=1), 1, rtol=1e-6)


def test_resampling_keeps_a_ramp():
    ramp = np.broadcast_to(np.arange(12, dtype=np.float32)[:, None, None], (12, 3, 3))[None]
    finer = resample(ramp, (24, 3, 3))[0, :, 0, 0]
    np.testing.assert_allclose(finer[1:-1], (np.arange(24)[1:-1] + 0.5) / 2 - 0.5, atol=1e-5)


def test_hippocampus_returns_exactly(data_root):
    scans = sorted((data_root / "Task04_Hippocampus" / "imagesTr").glob("[!.]*.nii.gz"))[:5]
    plan = changed(PLAN, labels={"0": "background", "1": "anterior", "2": "posterior"})
    for scan in scans:
        label = scan.parents[1] / "labelsTr" / scan.name
        prepared = preprocess_scan([scan], label, plan)
        stored = np.asarray(nib.load(label).dataobj)
        # Labels outside the image's non-zero box are lost: count that there are next to none.
        assert (restore_labels(prepared.label, prepared.geometry) != stored).sum() == 0
