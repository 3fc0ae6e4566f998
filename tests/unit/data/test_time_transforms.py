import numpy as np
import pytest
import torch

from voxnas.data.time_transforms import (
    Amplify,
    Drift,
    Flip,
    Grain,
    Hold,
    Silence,
    Translate,
    WindowAugmentation,
)

CLIP = torch.arange(6 * 2 * 3 * 4, dtype=torch.float32).view(6, 1, 2, 3, 4)


@pytest.mark.parametrize(
    "twin",
    [Flip((2,)), Translate((0, 1, -1)), Amplify(2.0), Drift((0.5, 0.1)), Grain(1.0, 3), Hold((2, 3)), Silence(1, 2)],
)
def test_a_twin_replays_and_leaves_its_input(twin):
    before = CLIP.clone()
    assert torch.equal(twin(CLIP), twin(CLIP)) and torch.equal(CLIP, before)
    assert twin(CLIP).shape == CLIP.shape and not torch.equal(twin(CLIP), CLIP)


def test_space_and_time_are_not_confused():
    assert torch.equal(Flip((0,))(CLIP)[2, 0, 0], CLIP[2, 0, 1])
    moved = Translate((1, 0, -2))(CLIP)
    assert torch.equal(moved[:, :, 1, :, :2], CLIP[:, :, 0, :, 2:])
    assert not moved[:, :, 0].any() and not moved[..., 2:].any()


def test_lost_volumes_repeat_the_last_good_one():
    held = Hold((2, 3))(CLIP)
    assert torch.equal(held[1:4], CLIP[1].expand(3, *CLIP.shape[1:]))
    assert torch.equal(held[4:], CLIP[4:])


def test_a_drift_is_slow_and_the_same_everywhere():
    drift = Drift((1.0,))(torch.zeros(50, 3))
    assert torch.equal(drift[:, 0], drift[:, 2]) and (drift[1:, 0] < drift[:-1, 0]).all()
    assert drift.mean().abs() < 1e-6


def test_a_masked_stretch_is_0_and_nothing_else():
    masked = Silence(2, 3)(CLIP + 1)
    assert not masked[2:5].any() and torch.equal(masked[:2], CLIP[:2] + 1) and torch.equal(masked[5], CLIP[5] + 1)


def test_draws_are_those_of_the_generator_and_grow_with_the_strength():
    def changes(strength, seed):
        augmentation = WindowAugmentation(strength, (2,), 6, (1, 1, 1))
        return augmentation.draw(np.random.default_rng(seed)).twins

    assert changes(1.0, 4) == changes(1.0, 4)
    counts = [sum(len(changes(s, seed)) for seed in range(200)) for s in (0.0, 0.5, 1.0)]
    assert counts[0] < counts[1] < counts[2]
    assert all(isinstance(twin, Flip) for seed in range(50) for twin in changes(0.0, seed))


def test_single_volumes_have_no_time_to_change():
    augmentation = WindowAugmentation(1.0, (), 1, (0, 0, 0))
    kinds = {type(t) for seed in range(100) for t in augmentation.draw(np.random.default_rng(seed)).twins}
    assert kinds == {Amplify, Grain}
