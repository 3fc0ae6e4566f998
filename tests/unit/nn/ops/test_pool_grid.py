import pytest
import torch
import torch.nn.functional as F
from plans import THICK, staged

from voxnas.arch.families.clip import Clip
from voxnas.arch.families.cnn import CNN
from voxnas.arch.graph import GraphBuilder
from voxnas.complexity.analytic import analyze
from voxnas.nn.build import build_network
from voxnas.nn.network import Network

STAGED = staged([4, 6], strides=THICK[:2], kernels=[[1, 3, 3]] * 2)


def test_each_cell_has_channels_of_its_own():
    graph = GraphBuilder(3)
    network = Network(graph.finish(graph.add("grid_pool", graph.input, 18, kernel=(1, 2, 3))))
    x = torch.randn(2, 3, 5, 9, 7)
    assert torch.equal(network(x).flatten(1), F.adaptive_avg_pool3d(x, (1, 2, 3)).flatten(1))


def test_channels_that_do_not_fit_the_grid_are_refused():
    graph = GraphBuilder(3)
    with pytest.raises(ValueError, match="does not give 7"):
        graph.add("grid_pool", graph.input, 7, kernel=(1, 2, 3))


@pytest.mark.parametrize(("family", "lead"), [(CNN, ()), (Clip, (5,))])
def test_a_network_with_a_grid_depends_on_position(family, lead):
    architecture = family(**STAGED, head_grid=[1, 2, 4])
    network, size = build_network(architecture).eval(), (*lead, 1, 8, 16)
    assert analyze(architecture, size).parameters == sum(p.numel() for p in network.parameters())
    x = torch.zeros(1, *lead, 1, 1, 8, 16)
    x[..., 2:6, 2:6] = 1
    moved = x.roll(8, -1)
    assert not torch.allclose(network(x), network(moved), atol=1e-4)


def test_a_grid_of_one_cell_is_the_default():
    assert CNN(**STAGED, head_grid=[1, 1, 1]).plain() == CNN(**STAGED).plain()
    assert "head_grid" not in CNN(**STAGED).plain()
