"""Effects of the temporal operators on frames, beyond the contract tests of all primitives."""

import pytest
import torch
from torch import nn

from voxnas.arch.graph import resolve_options
from voxnas.arch.primitives.base import PRIMITIVES, Node, Shape
from voxnas.nn.ops.base import MODULES

TEMPORAL = [name for name in PRIMITIVES if PRIMITIVES[name].temporal]
SAME = ["time_conv", "time_attention", "time_shift"]


def node_of(op, channels, options=None, dims=3, **changes):
    one = (1,) * dims
    return Node(
        op, op, ("input",), channels, one, one, options=resolve_options(PRIMITIVES[op], options or {}), **changes
    )


def build(op, given, channels=None, options=None, dims=3):
    torch.manual_seed(0)
    return MODULES[op](node_of(op, channels or given, options, dims), [given]).eval()


@pytest.mark.parametrize("op", TEMPORAL)
@pytest.mark.parametrize("frames", [1, 2, 5])
@pytest.mark.parametrize("size", [(7,), (5, 3), (3, 5, 2)])
def test_any_number_of_frames_is_accepted(op, frames, size):
    node = node_of(op, 4, dims=len(size))
    clip = torch.randn(2, frames, 4, *size)
    stated = PRIMITIVES[op].shape(node, [Shape(4, size, frames)])
    lead = (2,) if PRIMITIVES[op].ends_time else (2, stated.frames)
    for grad in (False, True):
        with torch.set_grad_enabled(grad):
            assert MODULES[op](node, [4])(clip).shape == (*lead, stated.channels, *stated.size)


def reach(module, frames, at):
    """The frames of the input on which the frame `at` of the output depends."""
    clip = torch.randn(1, frames, 4, 3, 3, 3, requires_grad=True)
    # The statistics of a norm depend on all frames.
    if hasattr(module, "norm"):
        module.norm = nn.Identity()
    output = module(clip)
    output = output if output.dim() == 5 else output[:, at]
    output.square().sum().backward()
    return [t for t in range(frames) if clip.grad[0, t].any()]


def test_a_convolution_reaches_its_kernel_and_a_causal_one_the_past():
    assert reach(build("time_conv", 4), 9, 4) == [3, 4, 5]
    assert reach(build("time_conv", 4, options={"time_kernel": 5}), 9, 4) == [2, 3, 4, 5, 6]
    assert reach(build("time_conv", 4, options={"causal": True}), 9, 4) == [2, 3, 4]
    assert reach(build("time_conv", 4, options={"time_stride": 2}), 9, 2) == [3, 4, 5]


def test_attention_reaches_all_frames_and_depends_on_their_order():
    module, clip = build("time_attention", 4), torch.randn(1, 6, 4, 2, 2, 2)
    assert reach(module, 6, 2) == list(range(6))
    with torch.no_grad():
        assert not torch.allclose(module(clip.flip(1)), module(clip).flip(1), atol=1e-3)


def test_the_reach_of_a_tcn():
    assert reach(build("time_tcn", 4), 40, -1) == list(range(40 - 29, 40))
    assert reach(build("time_tcn", 4, options={"levels": 2, "time_kernel": 2}), 12, -1) == list(range(12 - 7, 12))


def test_shift_moves_shares_of_the_channels():
    clip = torch.arange(1.0, 4).view(1, 3, 1, 1).expand(1, 3, 8, 2)
    moved = build("time_shift", 8, dims=1)(clip)[0, :, :, 0].T.tolist()
    assert moved == [[0, 1, 2], [2, 3, 0], *[[1, 2, 3]] * 6]
    online = build("time_shift", 8, options={"causal": True, "share": 0.25}, dims=1)(clip)[0, :, :, 0].T.tolist()
    assert online == [*[[0, 1, 2]] * 2, *[[1, 2, 3]] * 6]


@pytest.mark.parametrize("op", ["time_mean", "time_max"])
def test_pooling_over_time(op):
    clip = torch.randn(2, 5, 3, 4, 4)
    assert torch.equal(build(op, 3, dims=2)(clip), clip.mean(1) if op == "time_mean" else clip.amax(1))


def test_a_gru_returns_the_last_state_of_each_voxel():
    module, clip = build("time_gru", 3, 5), torch.randn(2, 4, 3, 2, 2, 2)
    with torch.no_grad():
        state = module(clip)[1, :, 0, 1, 0]
        alone = module.gru(clip[1:, :, :, 0, 1, 0])[1][0, 0]
    torch.testing.assert_close(state, alone)


@pytest.mark.parametrize("op", SAME)
def test_a_temporal_operator_does_not_mix_voxels(op):
    module, clip = build(op, 4), torch.randn(1, 4, 4, 3, 3, 3)
    turned = clip.transpose(3, 5)
    with torch.no_grad():
        torch.testing.assert_close(module(turned), module(clip).transpose(3, 5))


def test_invalid_nodes_are_refused():
    for op, changes, message in (
        ("time_conv", {"options": {"time_kernel": 4}}, "not odd"),
        ("time_shift", {"channels": 5}, "gives 4 channels"),
    ):
        node = node_of(op, changes.get("channels", 4), changes.get("options"))
        with pytest.raises(ValueError, match=message):
            PRIMITIVES[op].check(node, [4], 3)
    with pytest.raises(ValueError, match="no stride in space"):
        PRIMITIVES["time_conv"].check(Node("time_conv", "time_conv", ("input",), 4, (1,), (2,)), [4], 1)
