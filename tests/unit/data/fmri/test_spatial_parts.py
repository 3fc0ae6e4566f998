import math

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy import ndimage

from voxnas.core.errors import ScanError
from voxnas.data.fmri.bias import bias_field
from voxnas.data.fmri.brain_mask import bold_mask, is_stripped
from voxnas.data.fmri.confound_table import ConfoundMeter, tissue_masks
from voxnas.data.fmri.derivatives import Names
from voxnas.data.fmri.motion import estimate_motion, make_reference
from voxnas.data.fmri.pose import to_matrix, to_parameters
from voxnas.data.fmri.registration import template_grid
from voxnas.data.fmri.slice_timing import HALF, read_slice_times, shift_slices
from voxnas.data.fmri.steady import count_non_steady
from voxnas.data.fmri.volumes import Volume, save_run, save_volume, to_itk, world_matrix
from voxnas.data.fmri.warp import grid_points, move_grid, sample

OBLIQUE = np.array([[-3.0, 0.2, 0, 40], [0.15, 4.0, 0.3, -50], [0, -0.25, 5.0, -30], [0, 0, 0, 1]])


def blob(shape=(24, 26, 22), spacing=6.0, seed=0):
    """Make a smooth object on a grid centred on the origin."""
    rng = np.random.default_rng(seed)
    inside = (
        np.linalg.norm(np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")), axis=0) < 0.75
    )
    array = ndimage.gaussian_filter(inside * (900 + 600 * ndimage.gaussian_filter(rng.normal(size=shape), 1.2)), 0.8)
    affine = np.diag([spacing] * 3 + [1.0])
    affine[:3, 3] = -spacing * (np.array(shape) - 1) / 2
    return Volume(array.astype(np.float32), affine)


class TestSteady:
    @pytest.mark.parametrize("extra", [[], [0.5], [0.5, 0.2, 0.08]])
    def test_leading_bright_volumes_are_counted(self, extra):
        rng = np.random.default_rng(0)
        means = 100 + rng.normal(0, 0.2, 60) + np.linspace(0, 1, 60)
        means[: len(extra)] *= 1 + np.array(extra)
        assert count_non_steady(means) == len(extra)

    def test_bright_volumes_later_are_not(self):
        means = np.full(40, 100.0)
        means[[3, 20]] = 150
        assert count_non_steady(means) == 0

    def test_a_drift_and_a_short_run_are_not(self):
        assert count_non_steady(np.linspace(103, 100, 50)) == 0
        assert count_non_steady([200, 100, 100]) == 0


class TestSliceTiming:
    def test_a_slow_wave_comes_to_the_middle_of_the_repetition_time(self):
        repetition, times = 2.0, np.array([0.0, 1.0, 0.5, 1.5])
        wave = lambda t: np.sin(2 * np.pi * 0.04 * t)  # noqa: E731
        volumes = [np.broadcast_to(wave(2 * n + times), (2, 3, 4)).astype(np.float32) for n in range(60)]
        shifted = np.stack(list(shift_slices(iter(volumes), times, 2, repetition)))
        assert shifted.shape == (60, 2, 3, 4)
        expected = wave(2 * np.arange(60) + 1.0)[:, None, None, None]
        inner = slice(HALF, -HALF)
        assert np.abs(shifted - expected)[inner].max() < 0.01
        assert np.abs(np.stack(volumes) - expected)[inner].max() > 0.2

    def test_another_axis_and_constant_series(self):
        volumes = [np.full((5, 2, 2), 7.0, np.float32)] * 3
        shifted = list(shift_slices(iter(volumes), np.linspace(0, 1.6, 5), 0, 2.0))
        assert len(shifted) == 3 and np.allclose(shifted, 7.0, atol=1e-5)
        assert list(shift_slices(iter([]), np.zeros(5), 0, 2.0)) == []

    def test_times_are_in_the_order_of_the_slices(self):
        times, axis = read_slice_times({"SliceTiming": [0, 1, 0.5]}, (4, 5, 3), 2.0)
        assert axis == 2 and times.tolist() == [0, 1, 0.5]
        sidecar = {"SliceTiming": [0, 1, 0.5, 1.5], "SliceEncodingDirection": "i-"}
        times, axis = read_slice_times(sidecar, (4, 5, 3), 2.0)
        assert axis == 0 and times.tolist() == [1.5, 0.5, 1, 0]

    @pytest.mark.parametrize(
        ("sidecar", "words"),
        [
            ({}, "no SliceTiming"),
            ({"SliceTiming": [0, 1]}, "2 times for 3 slices"),
            ({"SliceTiming": [0, 500, 1000]}, "are they in ms?"),
            ({"SliceTiming": [0, 1, 2.5]}, "beyond the repetition time"),
            ({"SliceTiming": [0, -1, 1]}, "negative"),
            ({"SliceTiming": ["a", 0, 1]}, "list of numbers"),
            ({"SliceTiming": [0, 0, 0]}, "at once"),
            ({"SliceTiming": [0, 1, 0.5], "SliceEncodingDirection": "z"}, "not one of i, j, k"),
        ],
    )
    def test_what_cannot_be_used_is_said(self, sidecar, words):
        assert words in read_slice_times(sidecar, (4, 5, 3), 2.0)


class TestVolumes:
    def test_itk_sees_the_same_places(self):
        volume = Volume(np.random.default_rng(0).normal(size=(5, 6, 7)).astype(np.float32), OBLIQUE)
        image = to_itk(volume)
        for voxel in ((0, 0, 0), (4, 2, 6)):
            place = nib.affines.apply_affine(OBLIQUE, voxel) * (-1, -1, 1)
            assert np.allclose(image.TransformIndexToPhysicalPoint(voxel), place)
            assert image[voxel] == pytest.approx(volume.array[voxel])

    def test_a_transform_is_a_matrix_in_our_axes(self):
        transform = sitk.Euler3DTransform((1.0, 2.0, 3.0), 0.1, -0.2, 0.3, (5.0, 6.0, 7.0))
        matrix = world_matrix(transform)
        place = np.array([11.0, -3.0, 8.0])
        expected = np.array(transform.TransformPoint((place * (-1, -1, 1)).tolist())) * (-1, -1, 1)
        assert np.allclose(nib.affines.apply_affine(matrix, place), expected)
        grid = Volume(np.zeros((3, 4, 5)), OBLIQUE)
        moved = move_grid(grid, transform)
        assert np.allclose(moved, nib.affines.apply_affine(matrix, grid_points(grid)), atol=1e-6)

    def test_a_run_is_written_volume_by_volume(self, tmp_path):
        rng = np.random.default_rng(0)
        volumes = rng.normal(size=(6, 3, 4, 5)).astype(np.float32)
        for name in ("a", "b"):
            save_run(tmp_path / f"{name}.nii.gz", volumes, (3, 4, 5, 6), OBLIQUE, 1.5)
        image = nib.load(tmp_path / "a.nii.gz")
        assert np.array_equal(image.get_fdata(dtype=np.float32), np.moveaxis(volumes, 0, -1))
        assert image.header.get_zooms()[3] == 1.5 and np.allclose(image.affine, OBLIQUE, atol=1e-4)
        assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()

    def test_a_run_that_is_not_whole_leaves_no_file(self, tmp_path):
        with pytest.raises(ValueError, match="1 volumes written of 2"):
            save_run(tmp_path / "a.nii.gz", [np.zeros((2, 2, 2))], (2, 2, 2, 2), np.eye(4), 1.0)
        with pytest.raises(ValueError, match="a volume of shape"):
            save_run(tmp_path / "a.nii.gz", [np.zeros((3, 2, 2))], (2, 2, 2, 1), np.eye(4), 1.0)
        assert list(tmp_path.iterdir()) == []

    def test_masks_are_stored_as_bytes(self, tmp_path):
        save_volume(tmp_path / "m.nii.gz", Volume(np.ones((4, 4, 4), bool), np.eye(4)))
        image = nib.load(tmp_path / "m.nii.gz")
        assert image.get_data_dtype() == np.uint8 and (image.get_fdata() == 1).all()

    def test_sampling_between_grids(self):
        volume = blob()
        assert np.allclose(sample(volume, grid_points(volume)), volume.array.ravel(), atol=0.05)
        outside = sample(volume, np.array([[1e4, 0, 0]]))
        assert outside.tolist() == [0]


class TestMotion:
    def test_parameters_and_matrices_are_inverse(self):
        parameters, centre = np.array([1.0, -2, 3, 0.02, -0.03, 0.04]), np.array([5.0, 6, 7])
        matrix = to_matrix(parameters, centre)
        assert np.allclose(to_parameters(matrix, centre), parameters)
        assert np.allclose(nib.affines.apply_affine(matrix, centre), centre + parameters[:3])
        turn = to_matrix(np.array([0, 0, 0, 0, 0, math.pi / 2]), np.zeros(3))  # about S: right goes to anterior
        assert np.allclose(nib.affines.apply_affine(turn, [1, 0, 0]), [0, 1, 0])

    def test_poses_are_found(self):
        still = blob()
        centre = np.zeros(3)
        poses = np.array([[0, 0, 0, 0, 0, 0], [1.0, -0.5, 2, 0.02, 0, -0.01], [-2, 1, 0.3, -0.01, 0.03, 0.02]])
        volumes = []
        for pose in poses:
            places = nib.affines.apply_affine(np.linalg.inv(to_matrix(pose, centre)), grid_points(still))
            volumes.append(sample(still, places).reshape(still.array.shape))
        found = estimate_motion(volumes, still)
        assert np.abs(found[:, :3] - poses[:, :3]).max() < 0.1
        assert np.abs(np.degrees(found[:, 3:] - poses[:, 3:])).max() < 0.15
        # The reference of moving volumes is as sharp as one volume, and lies on the middle one.
        reference = make_reference(volumes, still.affine)
        assert np.corrcoef(reference.array.ravel(), volumes[1].ravel())[0, 1] > 0.998

    def test_an_empty_image_does_not_move(self):
        empty = Volume(np.zeros((8, 8, 8), np.float32), np.diag([4.0, 4, 4, 1]))
        assert np.abs(estimate_motion([empty.array], empty)).max() < 1e-6


def test_the_bias_field_is_found():
    flat = blob((30, 30, 28), 5.0)
    slope = np.exp(np.linspace(-0.4, 0.4, 30))[:, None, None] * np.ones(flat.array.shape)
    inside = flat.array > 500
    found = bias_field(flat.with_array(flat.array * slope), inside)
    assert np.corrcoef(np.log(found[inside]), np.log(slope[inside]))[0, 1] > 0.97
    assert np.exp(np.log(found[inside]).mean()) == pytest.approx(1, abs=1e-4)
    thin = flat.with_array(flat.array[:, :, :2])
    assert (bias_field(thin, inside[:, :, :2]) == 1).all()


class TestMask:
    def test_the_brain_of_a_run(self):
        brain = blob()
        rng = np.random.default_rng(1)
        noisy = brain.with_array(np.abs(brain.array + rng.normal(0, 20, brain.array.shape)).astype(np.float32))
        true = brain.array > 450
        found = bold_mask(noisy)
        assert 2 * (found & true).sum() / (found.sum() + true.sum()) > 0.9
        assert bold_mask(noisy.with_array(noisy.array[:, :, 9:12])).mean() > 0.2

    def test_no_brain_is_said(self):
        with pytest.raises(ScanError, match="no brain"):
            bold_mask(Volume(np.zeros((20, 20, 20), np.float32), np.eye(4)))

    def test_stripped_images_are_told(self):
        assert is_stripped(Volume(np.where(blob().array > 400, 500, 0), np.eye(4)))
        assert not is_stripped(Volume(np.ones((4, 4, 4)), np.eye(4)))


def test_confounds_are_gathered_volume_by_volume():
    rng = np.random.default_rng(0)
    brain = np.zeros((6, 6, 6), bool)
    brain[1:5, 1:5, 1:5] = True
    csf = np.zeros_like(brain)
    csf[2, 2, 2:4] = True
    volumes = (1000 + rng.normal(0, 10, (20, 6, 6, 6))).astype(np.float32)
    volumes[10] += 100
    meter = ConfoundMeter(brain, {"csf": csf})
    for volume in volumes:
        meter.add(volume)
    poses = np.zeros((20, 6))
    poses[5:, 0], poses[7:, 3] = 0.5, 0.01
    table = meter.table(poses, 2.0)
    assert table["framewise_displacement"].isna().tolist() == [True] + [False] * 19
    assert table["framewise_displacement"][5] == pytest.approx(0.5)
    assert table["framewise_displacement"][7] == pytest.approx(0.5)
    assert np.allclose(table["global_signal"], volumes[:, brain].mean(axis=1), atol=1e-3)
    assert np.allclose(table["csf"], volumes[:, csf].mean(axis=1), atol=1e-3)
    expected = np.sqrt(np.mean(np.diff(volumes[:, brain], axis=0) ** 2, axis=1))
    assert np.allclose(table["dvars"][1:], expected * 1000 / volumes[:, brain].mean(), rtol=1e-4)
    assert table["dvars"].idxmax() in (10, 11)
    assert [c for c in table if "comp_cor" in c] == ["c_comp_cor_00", "c_comp_cor_01"]


def test_tissues_are_pure_and_apart():
    for spacing in (4.0, 9.0):
        grid = template_grid(spacing)
        masks = tissue_masks(grid)
        assert set(masks) == {"csf", "white_matter"} and not (masks["csf"] & masks["white_matter"]).any()
        assert all(mask.sum() >= 8 for mask in masks.values())
        middle = np.abs(grid_points(grid)[masks["csf"].ravel()]).max(axis=0)
        assert middle[0] < 45 and middle[1] < 70  # ventricles, not the surface


def test_names_are_those_of_derivatives():
    names = Names("/data/sub-01/ses-a/func/sub-01_ses-a_task-rest_run-2_bold.nii.gz", "MNI152NLin2009aSym")
    stem = "sub-01/ses-a/func/sub-01_ses-a_task-rest_run-2"
    assert str(names.bold) == f"{stem}_space-MNI152NLin2009aSym_desc-preproc_bold.nii.gz"
    assert str(names.confounds) == f"{stem}_desc-confounds_timeseries.tsv"
    assert str(Names("sub-1_task-x_bold.nii", "").bold) == "sub-1/func/sub-1_task-x_desc-preproc_bold.nii.gz"
