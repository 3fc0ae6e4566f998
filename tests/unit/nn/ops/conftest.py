"""Fixtures of the tests of single primitives."""

import pytest
import torch

from voxnas.arch.graph import GraphBuilder
from voxnas.nn.network import Network


@pytest.fixture
def make():
    """Return a function that builds the module of one node on the given channels."""

    def build(op, given, channels=None, dims=3, norm="instance", activation="relu", **node):
        torch.manual_seed(0)
        graph = GraphBuilder(given, dims, norm, activation)
        return Network(graph.finish(graph.add(op, graph.input, channels, **node))).eval().get_submodule(op)

    return build
