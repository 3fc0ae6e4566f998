import numpy as np
import pytest
import torch
from plans import input_view, run_plan, space_file, staged

from voxnas.arch.families import expand
from voxnas.arch.families.clip import Clip
from voxnas.arch.families.clip.per_frame import without_time
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.core.errors import UserError
from voxnas.nn.build import build_network

PATCH, FRAMES = (8, 12, 8), 6
VIEW = input_view(PATCH, frames=FRAMES)
PLAN = run_plan({"clips": VIEW})


def clip(**changes):
    fields = staged([6, 12], blocks=[1, 2], strides=VIEW.strides[:2], kernels=VIEW.kernels[:2], view="clips")
    return Clip(**fields | {"norm": "group"} | changes)


def test_every_network_of_the_shipped_space_has_a_twin_of_equal_cost():
    space = SearchSpace.from_dict(space_file("clip"))
    rng = np.random.default_rng(0)
    for _ in range(6):
        architecture, _ = space.decode(space.sample(rng), PLAN)
        twin = without_time(architecture, (FRAMES, *PATCH))
        assert not expand(twin).uses_time() and twin.view == "clips"
        ratio = analyze(twin, (FRAMES, *PATCH)).macs / analyze(architecture, (FRAMES, *PATCH)).macs
        assert 0.95 < ratio < 1.05
        assert (twin.blocks, twin.strides, twin.norm) == (architecture.blocks, architecture.strides, architecture.norm)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, False),
        ({"time_head": "max"}, False),
        ({"block": "time_difference"}, False),
        ({"block": "time_difference", "threshold": 2.0}, True),
        ({"temporal": ["none", "shift"]}, True),
        ({"time_head": "gru", "time_width": 8}, True),
    ],
    ids=str,
)
def test_what_uses_time_tells_frames_in_another_order_apart(changes, expected):
    architecture = clip(**changes)
    assert expand(architecture).uses_time() == expected
    torch.manual_seed(0)
    network = build_network(architecture).eval()
    x = torch.randn(1, FRAMES, 1, *PATCH)
    with torch.inference_mode():
        same = torch.allclose(network(x), network(x[:, [3, 0, 5, 1, 4, 2]]), atol=1e-5)
    assert same != expected


def test_the_twin_has_no_order():
    twin = without_time(clip(temporal="conv", time_strides=2, time_head="tcn", time_width=16), (FRAMES, *PATCH))
    assert (twin.temporal, twin.time_strides, twin.time_head) == (("none", "none"), (1, 1), "mean")
    torch.manual_seed(0)
    network = build_network(twin).eval()
    x = torch.randn(1, FRAMES, 1, *PATCH)
    with torch.inference_mode():
        assert torch.allclose(network(x), network(x.flip(1)), atol=1e-5)


def test_a_network_too_narrow_for_equal_cost_is_an_error():
    one = clip(widths=[1], blocks=[1], strides=[[1, 1, 1]], kernels=[[3, 3, 3]], time_head="gru", time_width=48)
    with pytest.raises(UserError, match="no network of single frames"):
        without_time(one, (FRAMES, 2, 2, 2))
