import math

import numpy as np
import pytest
import torch

from voxnas.data.time_transforms import Drift, Hold, Silence, Translate, WindowAugmentation
from voxnas.data.transforms import Brightness, Mirror, Noise

CLIP = torch.arange(6 * 2 * 3 * 4, dtype=torch.float32).view(6, 1, 2, 3, 4)
TWINS = [
    Mirror((2,)),
    Translate((0, 1, -1)),
    Brightness(2),
    Drift((0.5, 0.1)),
    Noise(1, 3),
    Hold((2, 3)),
    Silence(1, 2),
]


@pytest.mark.parametrize("twin", TWINS)
def test_a_twin_replays_and_leaves_its_input(twin):
    before = CLIP.clone()
    (first, label), (second, _) = twin(CLIP, None), twin(CLIP, None)
    assert torch.equal(first, second) and torch.equal(CLIP, before) and label is None
    assert first.shape == CLIP.shape and not torch.equal(first, CLIP)


def test_space_and_time_are_not_confused():
    assert torch.equal(Mirror((0,))(CLIP, None)[0][2, 0, 0], CLIP[2, 0, 1])
    moved, _ = Translate((1, 0, -2))(CLIP, None)
    assert torch.equal(moved[:, :, 1, :, :2], CLIP[:, :, 0, :, 2:])
    assert not moved[:, :, 0].any() and not moved[..., 2:].any()


def test_lost_volumes_repeat_the_last_good_one():
    held, _ = Hold((2, 3))(CLIP, None)
    assert torch.equal(held[1:4], CLIP[1].expand(3, *CLIP.shape[1:]))
    assert torch.equal(held[4:], CLIP[4:])


def test_a_drift_is_slow_and_equal_in_all_voxels():
    drift, _ = Drift((1.0,))(torch.zeros(50, 3), None)
    assert torch.equal(drift[:, 0], drift[:, 2]) and (drift[1:, 0] < drift[:-1, 0]).all()
    assert drift.mean().abs() < 1e-6


def test_only_the_masked_interval_is_0():
    masked, _ = Silence(2, 3)(CLIP + 1, None)
    assert not masked[2:5].any() and torch.equal(masked[:2], CLIP[:2] + 1) and torch.equal(masked[5], CLIP[5] + 1)


def test_draws_depend_on_the_generator_and_increase_with_the_strength():
    def twins(strength, seed):
        return WindowAugmentation(strength, strength, (2,), 6, (1, 1, 1)).draw(np.random.default_rng(seed)).twins

    assert twins(1.0, 4) == twins(1.0, 4)
    counts = [sum(len(twins(s, seed)) for seed in range(200)) for s in (0.0, 0.5, 1.0)]
    assert counts[0] < counts[1] < counts[2]
    assert all(isinstance(twin, Mirror) for seed in range(50) for twin in twins(0.0, seed))


@pytest.mark.parametrize("strength", [0.4, 1.0])
def test_the_strength_leaves_the_ranges(strength):
    rng = np.random.default_rng(0)
    twins = [t for _ in range(3000) for t in WindowAugmentation(strength, strength, (), 16, (0, 0, 0)).draw(rng).twins]
    factors = [math.log(t.factor) for t in twins if isinstance(t, Brightness)]
    assert len(factors) == pytest.approx(0.3 * strength * 3000, rel=0.15)
    assert 0.29 < max(factors) <= 0.3
    assert 0.48 < max(t.sd for t in twins if isinstance(t, Noise)) <= 0.5
    assert max(t.length for t in twins if isinstance(t, Silence)) == 4
    assert np.std([a for t in twins if isinstance(t, Drift) for a in t.amplitudes]) == pytest.approx(0.2, rel=0.1)


def test_single_volumes_are_transformed_in_intensity_only():
    augmentation = WindowAugmentation(1.0, 1.0, (), 1, (0, 0, 0))
    kinds = {type(t) for seed in range(100) for t in augmentation.draw(np.random.default_rng(seed)).twins}
    assert kinds == {Brightness, Noise}
