import math

import numpy as np
import pytest
import torch

from voxnas.data.transforms import (
    Augmentation,
    Blur,
    Brightness,
    Contrast,
    Gamma,
    LowResolution,
    Mirror,
    Noise,
    Replay,
    Resample,
    Translate,
)

TWINS = [
    Mirror((0, 2)),
    Translate((1, -2, 3)),
    Resample((0.2, -0.1, 0.3), (1.1, 1.1, 1.1)),
    Resample((0.1, 0, 0), (1, 0.9, 1.1), shift=(1, 0, 2), bend=0.8, seed=3, replicate=True),
    Noise(0.2, 5),
    Blur(0.8),
    Brightness(1.2),
    Contrast(0.8),
    LowResolution(0.6),
    Gamma(1.4),
    Gamma(0.8, invert=True),
]


@pytest.fixture
def patch():
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.normal(size=(2, 8, 10, 12)).astype(np.float32))
    return image, torch.from_numpy(rng.integers(0, 3, (8, 10, 12)).astype(np.uint8))


@pytest.mark.parametrize("twin", TWINS, ids=lambda t: type(t).__name__)
def test_twin_is_deterministic_and_leaves_its_input(twin, patch):
    image, label = patch
    before = image.clone(), label.clone()
    first, second = twin(image, label), twin(image, label)
    assert torch.equal(image, before[0]) and torch.equal(label, before[1])
    assert torch.equal(first[0], second[0]) and torch.equal(first[1], second[1])
    assert first[0].shape == image.shape and first[0].dtype == torch.float32
    assert first[1].shape == label.shape and first[1].dtype == label.dtype
    assert torch.isfinite(first[0]).all()
    assert not torch.equal(first[0], image)
    assert twin(image, None)[1] is None
    spatial = isinstance(twin, Mirror | Translate | Resample)
    assert torch.equal(first[1], label) != spatial


def test_mirror_twice_is_the_identity(patch):
    image, label = patch
    twin = Mirror((1, 2))
    assert torch.equal(twin(*twin(image, label))[0], image)


@pytest.mark.parametrize(("axis", "turned"), [(0, (1, 2)), (1, (0, 2)), (2, (0, 1))])
def test_quarter_turn_equals_rot90(axis, turned):
    image = torch.rand(1, 6, 6, 6)
    label = (image[0] * 5).to(torch.uint8)
    angles = [0.0, 0.0, 0.0]
    angles[axis] = math.pi / 2
    moved, moved_label = Resample(tuple(angles), (1, 1, 1))(image, label)
    options = [torch.rot90(image, k, [t + 1 for t in turned]) for k in (1, 3)]
    match = [k for k, option in zip((1, 3), options, strict=True) if torch.allclose(moved, option, atol=1e-4)]
    assert match
    assert torch.equal(moved_label, torch.rot90(label, match[0], turned))


def test_translation_fills_with_zeros():
    image = torch.arange(1.0, 61).view(1, 3, 4, 5)
    moved, label = Translate((0, 1, -2))(image, image[0].to(torch.uint8))
    assert torch.equal(moved[0, :, 1:, :3], image[0, :, :-1, 2:]) and moved.count_nonzero() == 3 * 3 * 3
    assert torch.equal(label.float(), moved[0])


def test_resampling_translates_by_whole_voxels():
    image = torch.arange(1.0, 61).view(1, 3, 4, 5)
    label = (image[0] > 30).to(torch.uint8)
    moved, moved_label = Resample((0, 0, 0), (1, 1, 1), shift=(0, 1, -2))(image, label)
    expected, expected_label = Translate((0, 1, -2))(image, label)
    assert torch.allclose(moved, expected, atol=1e-4) and torch.equal(moved_label, expected_label)
    held, _ = Resample((0, 0, 0), (1, 1, 1), shift=(0, 1, 0), replicate=True)(image, None)
    assert torch.allclose(held[0, :, 0], image[0, :, 0], atol=1e-4)


def test_an_elastic_field_bends_by_about_its_deviation():
    image = torch.arange(32.0).view(1, 32, 1, 1).expand(1, 32, 32, 32).contiguous()
    moved = torch.stack([Resample((0, 0, 0), (1, 1, 1), bend=0.5, seed=j)(image, None)[0] for j in range(20)])
    displacement = (moved - image)[:, 0, 4:-4, 4:-4, 4:-4]
    assert 0.2 < displacement.std() < 0.4  # interpolation between independent control points lowers the deviation


def test_labels_are_resampled_as_indicators_or_beyond_a_number_by_the_nearest_neighbour():
    label = torch.zeros(16, 16, 16, dtype=torch.uint8)
    label[4:12, 4:12, 4:12] = 7
    turn = Resample((0.4, 0.3, 0.2), (1, 1, 1))
    _, moved = turn(torch.zeros(1, 16, 16, 16), label)
    assert set(moved.unique().tolist()) == {0, 7} and abs(int((moved == 7).sum()) - 512) < 40
    many = torch.arange(4096).view(16, 16, 16) // 256
    assert turn(torch.zeros(1, 16, 16, 16), many.to(torch.uint8))[1].max() == 15


@pytest.mark.parametrize("spatial", [0.0, 0.4, 1.0])
def test_elastic_deformation_resamples_gently_and_once(spatial):
    augmentation = Augmentation(spatial, 0.0, room=(4, 6, 4), deformation="elastic")
    drawn = [augmentation.draw(np.random.default_rng(j)).twins for j in range(2000)]
    twins = [twin for replay in drawn for twin in replay]
    assert abs(len(twins) - 2000 * spatial) <= 4 * (2000 * spatial * (1 - spatial)) ** 0.5
    assert all(len(replay) <= 1 for replay in drawn)
    if spatial:
        assert max(abs(a) for t in twins for a in t.angles) == pytest.approx(math.radians(15), rel=0.02)
        assert max(abs(t.shift[1]) for t in twins) == pytest.approx(3, rel=0.02)
        assert max(s for t in twins for s in t.scales) < 1.25 * 1.08
        assert np.mean([t.bend > 0 for t in twins]) == pytest.approx(0.5, abs=0.06)


def test_scale_two_doubles_a_ball():
    grid = np.indices((17, 17, 17)) - 8
    ball = torch.from_numpy(((grid**2).sum(0) < 9).astype(np.uint8))
    _, moved = Resample((0, 0, 0), (2, 2, 2))(ball.float()[None], ball)
    assert 6 < moved.sum() / ball.sum() < 10


def test_rotation_is_rigid_in_space():
    # A line along H of 12 voxels of 1 mm lies along D, of voxels of 2 mm, as 6 voxels.
    image = torch.zeros(1, 16, 16, 3)
    image[0, 7:9, 2:14, 1] = 1
    moved, _ = Resample((0, 0, math.pi / 2), (1, 1, 1), (2.0, 1.0, 1.0))(image, None)
    profile = moved[0, :, 7:9, 1].amax(1) > 0.5
    assert profile.sum() == 6


def test_blur_keeps_a_constant_and_lowers_noise(patch):
    assert torch.allclose(Blur(1.0)(torch.full((1, 5, 6, 7), 3.0), None)[0], torch.tensor(3.0), atol=1e-5)
    assert Blur(1.0)(patch[0], None)[0].std() < 0.5 * patch[0].std()


def test_gamma_keeps_mean_and_deviation_and_contrast_keeps_range(patch):
    image, _ = patch
    for twin in (Gamma(1.4), Gamma(0.7, invert=True)):
        bent = twin(image, None)[0]
        assert torch.allclose(bent.mean((1, 2, 3)), image.mean((1, 2, 3)), atol=1e-4)
        assert torch.allclose(bent.std((1, 2, 3)), image.std((1, 2, 3)), rtol=1e-3)
    stretched = Contrast(1.5)(image, None)[0]
    assert stretched.amax() <= image.amax() and stretched.amin() >= image.amin()


def test_constant_image_stays_finite():
    flat = torch.zeros(1, 4, 4, 4)
    for twin in TWINS:
        assert torch.isfinite(twin(flat, None)[0]).all()


def test_draw_replays_from_its_parameters(patch):
    augmentation = Augmentation(1.0, 1.0, (0, 1, 2), room=(1, 1, 1))
    drawn = [augmentation.draw(np.random.default_rng(j)) for j in range(40)]
    again = [augmentation.draw(np.random.default_rng(j)) for j in range(40)]
    assert drawn == again
    assert len({type(t) for replay in drawn for t in replay.twins}) == 9
    rebuilt = Replay(tuple(type(t)(**vars(t)) for t in drawn[0].twins))
    assert torch.equal(rebuilt(*patch)[0], drawn[0](*patch)[0])


# nnUNetTrainer.get_training_transforms of nnU-Net v2; blur and low resolution have half its probability (all channels).
PROBABILITIES = {
    "turn": 0.2,
    "scale": 0.2,
    "Translate": 0.2,
    "Noise": 0.1,
    "Blur": 0.1,
    "Brightness": 0.15,
    "Contrast": 0.15,
    "LowResolution": 0.125,
    "inverted": 0.1,
    "Gamma": 0.3,
}


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_the_strength_scales_nnunets_probabilities_and_leaves_the_ranges(strength):
    rng, draws = np.random.default_rng(0), 6000
    augmentation = Augmentation(strength, strength, (2,), room=(2, 3, 0))
    drawn = [twin for _ in range(draws) for twin in augmentation.draw(rng).twins]
    affine = [twin for twin in drawn if isinstance(twin, Resample)]
    turned = [abs(angle) for twin in affine for angle in twin.angles if any(twin.angles)]
    sizes = [twin.scales[0] for twin in affine if twin.scales[0] != 1]
    gammas = [twin for twin in drawn if isinstance(twin, Gamma)]
    counts = {name: sum(type(twin).__name__ == name for twin in drawn) for name in PROBABILITIES}
    counts |= {"turn": len(turned) / 3, "scale": len(sizes), "inverted": sum(g.invert for g in gammas)}
    counts["Gamma"] -= counts["inverted"]
    for name, probability in PROBABILITIES.items():
        deviation = (probability * strength * draws) ** 0.5
        assert abs(counts[name] - probability * strength * draws) <= 4 * deviation, name
    assert abs(sum(isinstance(twin, Mirror) for twin in drawn) - draws / 2) < 4 * (draws / 4) ** 0.5
    if strength:
        assert 0.98 * math.radians(30) < max(turned) <= math.radians(30)
        assert 1 / 1.4 <= min(sizes) < 0.73 and 1.38 < max(sizes) <= 1 / 0.7
        assert {twin.voxels for twin in drawn if isinstance(twin, Translate)} == {
            (d, h, 0) for d in range(-2, 3) for h in range(-3, 4)
        }
        assert {0.7, 1.5} == {round(f([g.gamma for g in gammas]), 1) for f in (min, max)}
        assert np.mean([g.gamma < 1 for g in gammas]) == pytest.approx(0.5, abs=0.05)


def test_strength_out_of_range_is_refused():
    with pytest.raises(ValueError, match="intensity 2"):
        Augmentation(1, 2)
