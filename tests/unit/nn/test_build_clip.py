"""Networks on clips: their cost, and tasks that a network on frames cannot learn."""

import numpy as np
import pytest
import torch
from plans import space_file, staged, volume_plan
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from voxnas.arch.families.clip import Clip
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.nn.build import build_network

PLAN = volume_plan("classification", (16, 16, 16))
FRAMES = 5


def test_the_stated_cost_is_the_cost_of_the_network():
    space, rng = SearchSpace.from_dict(space_file("clip")), np.random.default_rng(0)
    for _ in range(8):
        architecture, _ = space.decode(space.sample(rng), PLAN)
        network = build_network(architecture).eval()
        cost = analyze(architecture, (FRAMES, 8, 16, 8))
        assert cost.parameters == sum(p.numel() for p in network.parameters())
        plain = sdpa_kernel(SDPBackend.MATH), torch.backends.mkldnn.flags(enabled=False)
        with torch.no_grad(), plain[0], plain[1], FlopCounterMode(display=False) as flops:
            output = network(torch.randn(2, FRAMES, 1, 8, 16, 8))
        assert output.shape == (2, 2)
        assert cost.macs * 2 * 2 == flops.get_total_flops()


def test_a_network_of_differences_is_equal_in_tiles_and_in_whole_frames():
    torch.manual_seed(0)
    record = {"in_channels": 1, "out_channels": 2, "widths": [4, 6], "blocks": [2, 1], "kernels": [[3] * 3] * 2}
    strides = [[1, 1, 1], [2, 2, 2]]
    architecture = Clip(**record, strides=strides, block="time_difference", temporal="shift", time_head="max")
    network, clip = build_network(architecture).eval(), torch.randn(1, 1, 1, 16, 16, 16).repeat(1, 6, 1, 1, 1, 1)
    clip[:, 3:, :, :4, :4, :4] += 1
    whole = network(clip)
    with torch.no_grad():
        torch.testing.assert_close(network(clip), whole.detach(), rtol=1e-4, atol=1e-5)


def moving_blobs(count, frames=6, side=8):
    """A blob that moves up or down along the last axis; a single frame does not show the direction."""
    place = torch.arange(side).float()
    start, sign = torch.rand(count, 3, 1) * side, torch.randint(0, 2, (count,))
    # Positions are periodic, so both directions visit the same positions.
    path = (start[:, 2] + torch.where(sign > 0, 1.0, -1.0)[:, None] * torch.arange(frames)) % side
    away = (place - path[:, :, None]).abs()
    away = torch.minimum(away, side - away)
    along = torch.exp(-(away**2))
    still = torch.exp(-(((place - start[:, :2]) / 2) ** 2))
    clip = torch.einsum("bd,bh,btw->btdhw", still[:, 0], still[:, 1], along)
    return clip.unsqueeze(2) + 0.02 * torch.randn(count, frames, 1, side, side, side), sign


def accuracy_after_training(**changes):
    """Accuracy on new clips after 60 steps."""
    torch.manual_seed(0)
    record = staged([8, 16])
    network = build_network(Clip(**{**record, **changes}))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(60):
        clips, sign = moving_blobs(32)
        optimizer.zero_grad()
        F.cross_entropy(network(clips), sign).backward()
        optimizer.step()
    with torch.no_grad():
        clips, sign = moving_blobs(300)
        return float((network.eval()(clips).argmax(1) == sign).float().mean())


@pytest.mark.parametrize("temporal", [["none", "conv"], ["none", "shift"], ["none", "attention"]], ids="-".join)
def test_operators_along_time_learn_a_direction(temporal):
    assert accuracy_after_training(temporal=temporal) > 0.9


def test_networks_without_temporal_operators_cannot_learn_a_direction():
    assert accuracy_after_training() < 0.65
