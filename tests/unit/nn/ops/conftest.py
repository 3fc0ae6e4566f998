"""What the tests of single primitives share."""

import pytest
import torch

from voxnas.arch.graph import GraphBuilder
from voxnas.nn.network import Network

torch.set_num_threads(1)


@pytest.fixture
def make():
    """Function that builds the module of one node on the given channels."""

    def build(op, given, channels=None, dims=3, norm="instance", activation="relu", **node):
        torch.manual_seed(0)
        graph = GraphBuilder(given, dims, norm, activation)
        return Network(graph.finish(graph.add(op, graph.input, channels, **node))).eval().get_submodule(op)

    return build
