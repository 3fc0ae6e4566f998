"""Graphs have an identity that the order of writing them down does not change, and everything else does."""

from dataclasses import replace

import numpy as np
import pytest

from voxnas.arch.families import expand
from voxnas.arch.families.unet import UNet
from voxnas.arch.graph import Graph, GraphBuilder, graph_digest
from voxnas.arch.primitives.base import PRIMITIVES


def unet(**changes):
    return expand(
        UNet(
            **{
                "in_channels": 1,
                "out_channels": 3,
                "widths": [4, 8, 8, 8],
                "blocks": [2, 1, 1, 2],
                "decoder_blocks": [2, 1, 1],
                "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2], [2, 2, 2]],
                "kernels": [[3, 3, 3]] * 4,
                "block": "residual",
                "deep_supervision": True,
            }
            | changes
        )
    )


def cell(*edges, outputs=1):
    """A small cell: nodes by name with their inputs, in the order given; `x` is the input."""
    graph = GraphBuilder(4, 3)
    at = {"x": graph.input}
    for name, op, inputs in edges:
        at[name] = graph.add(op, tuple(at[i] for i in inputs), kernel=3)
    return graph.finish(*(at[name] for name, _, _ in edges[-outputs:]))


def rewritten(graph, rng):
    """The same network: nodes renumbered, sums turned round, a node added that nothing needs."""
    waiting, order = set(range(1, len(graph.nodes))), [0]
    while waiting:
        ready = sorted(n for n in waiting if set(graph.nodes[n].inputs) <= set(order))
        order.append(ready[rng.integers(len(ready))])
        waiting.remove(order[-1])
    number = {old: new for new, old in enumerate(order)}
    nodes = []
    for old in order:
        inputs = [number[i] for i in graph.nodes[old].inputs]
        if old and PRIMITIVES[graph.nodes[old].op].commutative:
            rng.shuffle(inputs)
        nodes.append(replace(graph.nodes[old], inputs=tuple(inputs)))
    nodes.append(replace(nodes[1], inputs=(0,)))
    return replace(graph, nodes=tuple(nodes), outputs=tuple(number[i] for i in graph.outputs))


CELL = cell(
    ("a", "plain", "x"),
    ("b", "residual", "x"),
    ("c", "add", "ab"),
    ("d", "plain", "x"),
    ("e", "add", ("x", "d")),
    ("f", "concat", "ce"),
)


@pytest.mark.parametrize("graph", [unet(), CELL], ids=["unet", "cell"])
def test_the_order_of_writing_has_no_effect(graph):
    rng = np.random.default_rng(0)
    others = [rewritten(graph, rng) for _ in range(10)]
    assert len({other.nodes for other in others}) > (1 if graph is CELL else 0)
    assert {graph_digest(other) for other in others} == {graph_digest(graph)}


def test_everything_else_has():
    graphs = [
        unet(),
        unet(widths=[4, 8, 8, 16]),
        unet(activation="relu"),
        unet(deep_supervision=False),
        unet(strides=[[1, 1, 1], [2, 2, 1], [2, 2, 2], [2, 2, 2]]),
        unet(blocks=[2, 2, 1, 1]),
        unet(downsample="max"),
        unet(kernels=[[3, 3, 3]] * 3 + [[1, 3, 3]]),
        replace(unet(), clip=True),
    ]
    assert len({graph_digest(graph) for graph in graphs}) == len(graphs)


def test_two_equal_nodes_are_not_one_used_twice():
    twice = cell(("a", "plain", "x"), ("b", "add", "aa"))
    apart = cell(("a", "plain", "x"), ("c", "plain", "x"), ("b", "add", "ac"))
    assert graph_digest(twice) != graph_digest(apart)


def test_where_equal_nodes_lead_to_matters():
    """Both have the same nodes with the same inputs; in one of them the two paths cross."""
    start = [("a", "plain", "x"), ("b", "plain", "x"), ("c", "residual", "x")]
    same = cell(*start, ("d", "add", "ac"), ("e", "add", "ab"), ("f", "concat", "de"))
    other = cell(*start, ("d", "add", "ac"), ("e", "add", "bb"), ("f", "concat", "de"))
    assert graph_digest(same) != graph_digest(other)


def test_a_concatenation_has_an_order():
    start = [("a", "plain", "x"), ("b", "residual", "x")]
    assert graph_digest(cell(*start, ("c", "concat", "ab"))) != graph_digest(cell(*start, ("c", "concat", "ba")))
    assert graph_digest(cell(*start, ("c", "add", "ab"))) == graph_digest(cell(*start, ("c", "add", "ba")))


def test_the_answer_is_told_from_the_other_outputs():
    graph = cell(("a", "plain", "x"), ("b", "plain", "a"), outputs=2)
    assert isinstance(graph, Graph)
    assert graph_digest(graph) != graph_digest(replace(graph, outputs=graph.outputs[::-1]))
