import numpy as np
import pytest
import torch

from voxnas.core.architecture import Recipe
from voxnas.data.dataset import StudyData
from voxnas.training.sampling.patches import PatchSampler, centred_start, crop_or_pad
from voxnas.training.targets import Targets

PATCH = [8, 8, 8]


def make_sampler(paths, seed=1, strength=1.0, foreground=0.5, mirror="none"):
    data = StudyData(paths)
    scans = data.train_scans(0)
    return PatchSampler(
        data,
        scans,
        Targets.of(data, scans),
        seed,
        Recipe(spatial=strength, intensity=strength, mirror=mirror),
        foreground,
    )


@pytest.mark.parametrize("shape", [(4, 5, 6), (9, 8, 7), (5, 12, 8)])
def test_crop_or_pad_and_back(shape):
    volume = torch.rand(2, *shape) + 1
    start = centred_start(shape, PATCH)
    patch = crop_or_pad(volume, start, PATCH)
    assert patch.shape == (2, *PATCH)
    again = crop_or_pad(patch, [-s for s in start], shape)
    inside = again > 0
    assert torch.equal(again[inside], volume[inside])
    if all(n <= p for n, p in zip(shape, PATCH, strict=True)):
        assert inside.all()


def test_samples_depend_on_seed_and_number_alone(study):
    one, two = make_sampler(study), make_sampler(study)
    images, labels = one.batch([3, 9, 40])
    for sample in (40, 9, 3):  # another order, another object
        image, label = two.sample(sample)
        position = [3, 9, 40].index(sample)
        assert torch.equal(image, images[position]) and torch.equal(label, labels[position])
    assert images.shape == (3, 1, *PATCH) and labels.dtype == torch.int64
    assert not torch.equal(make_sampler(study, seed=2).sample(3)[0], images[0])


def test_an_epoch_is_a_permutation(study):
    sampler = make_sampler(study)
    n = len(sampler.scans)
    epochs = [[sampler.scan_of(e * n + i) for i in range(n)] for e in range(4)]
    assert all(sorted(epoch) == sampler.scans for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_locked_and_the_validation_scans_never_train(study):
    sampler = make_sampler(study)
    assert set(sampler.scans) == {"sub-04", "sub-05", "sub-06", "sub-07"}


def test_foreground_patches_hold_the_label(study):
    always, never = make_sampler(study, strength=0, foreground=1), make_sampler(study, strength=0, foreground=0)
    always.patch = never.patch = [4, 4, 4]
    held = [sum(int(s.sample(j)[1].max() > 0) for j in range(40)) for s in (always, never)]
    assert held[0] == 40
    assert held[1] < 40


def test_foreground_patches_are_drawn_by_label_and_then_by_voxel(study):
    sampler = make_sampler(study, strength=0, foreground=1)
    label = torch.zeros(20, 20, 20, dtype=torch.uint8)
    label[2:14, 2:14, 2:14] = 1  # 1,728 voxels
    label[17:19, 17:19, 17:19] = 2  # 8 voxels
    scan, sampler.patch = sampler.scans[0], [4, 4, 4]
    sampler._labels[scan], sampler._images[scan] = label, torch.zeros(1, 20, 20, 20)
    starts = [sampler._start(scan, np.random.default_rng(j)) for j in range(400)]
    rare = sum(min(start) >= 14 for start in starts)
    assert 160 < rare < 240


def test_patches_are_translated_by_an_eighth_of_their_sides(study):
    assert make_sampler(study).augmentation.room == (1, 1, 1)


@pytest.mark.parametrize(("task", "dtype"), [("classification", torch.int64), ("regression", torch.float32)])
def test_vectors(new_study, task, dtype):
    sampler = make_sampler(new_study(task))
    images, targets = sampler.batch(range(4))
    assert images.shape == (4, 1, *PATCH) and targets.shape == (4,) and targets.dtype == dtype
    if task == "regression":  # one epoch of standardised values
        assert targets.mean() == pytest.approx(0, abs=1e-5)
        assert targets.std(correction=0) == pytest.approx(1, abs=1e-5)
    else:
        assert targets.sum() == 2


@pytest.mark.parametrize(("mirror", "axes"), [("none", ()), ("left_right", (2,)), ("all", (0, 1, 2))])
def test_the_recipe_says_along_which_axes_patches_are_flipped(study, mirror, axes):
    sampler = make_sampler(study, strength=0, mirror=mirror)
    drawn = [twin for j in range(40) for twin in sampler.augmentation.draw(np.random.default_rng(j)).twins]
    assert {axis for twin in drawn for axis in twin.axes} == set(axes)
