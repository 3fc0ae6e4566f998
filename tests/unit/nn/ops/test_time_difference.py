"""The temporal difference equals the plain convolution of the held frames at a lower cost."""

import pytest
import torch
from torch.nn import functional as F

from voxnas.arch.graph import resolve_options
from voxnas.arch.primitives.base import PRIMITIVES, Node
from voxnas.nn.ops import time_difference
from voxnas.nn.ops.base import MODULES
from voxnas.nn.ops.tiles import Tiling
from voxnas.nn.ops.time_difference import differs, hold


def module_of(threshold=0.0, tile=4, kernel=(3, 3, 3), stride=(1, 1, 1), channels=(2, 3), norm="instance"):
    op = "time_difference"
    options = resolve_options(PRIMITIVES[op], {"threshold": threshold, "tile": tile})
    node = Node(op, op, ("input",), channels[1], kernel, stride, norm=norm, options=options)
    torch.manual_seed(0)
    return MODULES[op](node, [channels[0]]).eval()


def moving_clip(size=(9, 11, 9), batch=2, channels=2, frames=6):
    """A small cube that moves over a constant background, with noise of 0.01."""
    torch.manual_seed(1)
    clip = torch.randn(batch, 1, channels, *size).repeat(1, frames, *[1] * (1 + len(size)))
    for t in range(frames):
        clip[(slice(None), t, slice(None), *(slice(t, t + 2) for _ in size))] += 3
    return clip + 0.01 * torch.randn_like(clip) * (torch.arange(frames) > 2).view(-1, *[1] * (1 + len(size)))


@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 2, 2), (1, 2, 2), (3, 1, 2)])
@pytest.mark.parametrize("kernel", [(3, 3, 3), (1, 1, 1), (1, 3, 5)])
@pytest.mark.parametrize("tile", [1, 4, 8, 100])
def test_a_threshold_of_zero_is_the_plain_convolution(stride, kernel, tile):
    module, clip = module_of(stride=stride, kernel=kernel, tile=tile), moving_clip()
    with torch.no_grad():
        plain = module.conv(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        torch.testing.assert_close(module.convolve_changes(clip), plain)
        torch.testing.assert_close(module.convolve(clip), plain)


@pytest.mark.parametrize("size", [(13,), (9, 11), (9, 11, 9)])
@pytest.mark.parametrize("threshold", [0.0, 0.02, 0.5])
def test_inference_equals_training(size, threshold):
    ones = (1,) * len(size)
    module, clip = module_of(threshold, 3, kernel=(3,) * len(size), stride=ones), moving_clip(size)
    trained = module(clip)
    assert trained.requires_grad
    with torch.no_grad():
        torch.testing.assert_close(module(clip), trained.detach(), rtol=1e-4, atol=1e-5)


def test_a_voxel_is_held_until_it_has_moved_by_more_than_the_threshold():
    clip = torch.tensor([0.0, 0.4, 0.9, 1.1, 1.9, 2.2, -5.0]).view(1, 7, 1, 1)
    assert hold(clip, 1.0).flatten().tolist() == pytest.approx([0.0, 0.0, 0.0, 1.1, 1.1, 2.2, -5.0])
    other = torch.cat((clip, 10 * clip), 2)  # the channels of a voxel are updated together
    assert hold(other, 1.0)[0, :, 0, 0].tolist() == pytest.approx([0.0, 0.4, 0.9, 1.1, 1.9, 2.2, -5.0])


def test_the_error_stays_below_threshold_times_weights():
    module, clip = module_of(0.3), moving_clip(frames=30)
    with torch.no_grad():
        plain = module.conv(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        bound = 0.3 * module.conv.weight.abs().sum((1, 2, 3, 4)).max()
        assert 0 < (module.convolve_changes(clip) - plain).abs().max() <= bound


def test_the_gradient_passes_the_hold_unchanged():
    clip = moving_clip().requires_grad_()
    held = hold(clip, 0.5)
    assert not torch.equal(held, clip)
    weight = torch.randn_like(held)
    (held * weight).sum().backward()
    assert torch.equal(clip.grad, weight)


def test_only_tiles_that_depend_on_a_change_are_computed(monkeypatch):
    computed = []
    convolve = F.conv3d
    monkeypatch.setitem(time_difference._CONVOLVE, 3, lambda x, *rest: computed.append(len(x)) or convolve(x, *rest))
    clip = torch.zeros(1, 4, 2, 16, 16, 16)
    clip[:, 1:, :, 5, 5, 5] = 1  # inside one tile of 4
    clip[:, 3:, 0, 8, 10, 10] = 1  # at the face of a tile, on which the adjacent tile depends too
    with torch.no_grad():
        module_of()(clip)
    assert computed == [1, 2]


def test_a_frame_that_changes_everywhere_is_computed_as_a_whole(monkeypatch):
    monkeypatch.setitem(time_difference._CONVOLVE, 3, None)
    module, clip = module_of(0.1), torch.randn(2, 3, 2, 9, 11, 9)
    with torch.no_grad():
        torch.testing.assert_close(module.convolve_changes(clip), module.convolve(clip))


def test_unchanged_voxels_are_equal_after_the_norm():
    """The next block can therefore skip them too."""
    clip = torch.randn(1, 1, 2, 12, 12, 12).repeat(1, 4, 1, 1, 1, 1)
    clip[:, 2:, :, :2, :2, :2] += 1
    with torch.no_grad():
        y = module_of()(clip)
    assert torch.equal(y[:, 0, :, 4:, 4:, 4:], y[:, 3, :, 4:, 4:, 4:])
    assert not torch.equal(y[:, 0], y[:, 3])


def test_nan_counts_as_change():
    held, frame = torch.zeros(1, 1, 3), torch.tensor([[[0.0, torch.nan, 0.05]]])
    assert differs(frame, held, 0.1).tolist() == [[False, True, False]]


@pytest.mark.parametrize(("size", "kernel", "stride", "tile"), [(10, 3, 1, 4), (11, 5, 2, 3), (12, 3, 3, 2)])
def test_touched_tiles_are_those_whose_output_depends_on_a_voxel(size, kernel, stride, tile):
    tiling = Tiling((size,), (kernel,), (stride,), tile)
    weight = torch.ones(1, 1, kernel)
    for voxel in range(size):
        changed = torch.zeros(1, size, dtype=torch.bool)
        changed[0, voxel] = True
        reached = F.conv1d(changed.float().unsqueeze(1), weight, stride=stride, padding=kernel // 2)[0, 0] > 0
        assert reached.shape == tiling.output
        expected = [bool(part.any()) for part in reached.split(tiling.tile[0])]
        assert tiling.touched(changed)[0].tolist() == expected
