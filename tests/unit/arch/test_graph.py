"""Graphs have an identity that the order of writing them down does not change, and everything else does."""

from dataclasses import replace

import numpy as np
import pytest
from plans import THICK, staged
from pydantic import ValidationError

from voxnas.arch.families import expand
from voxnas.arch.families.unet import UNet
from voxnas.arch.graph import Graph, GraphBuilder, graph_digest
from voxnas.arch.primitives.base import PRIMITIVES
from voxnas.arch.reference import NETWORKS
from voxnas.core.canonical import canonical_json


def unet(**changes):
    fields = staged([4, 8, 8, 8], out_channels=3, blocks=[2, 1, 1, 2], strides=THICK, block="residual")
    return expand(UNet(**fields | {"decoder_blocks": [2, 1, 1], "deep_supervision": True} | changes))


def cell(*edges, outputs=1):
    """A small cell: nodes by name with their inputs, in the order given; `x` is the input."""
    graph = GraphBuilder(4, 3)
    for name, op, inputs in edges:
        graph.add(op, tuple(graph.input if i == "x" else i for i in inputs), kernel=3, name=name)
    return graph.finish(*(name for name, _, _ in edges[-outputs:]))


def rewritten(graph, rng):
    """The same network: nodes in another order and renamed, sums turned round, a node added that nothing needs."""
    waiting, order = list(graph.nodes[1:]), [graph.nodes[0]]
    while waiting:
        known = {node.id for node in order}
        ready = [node for node in waiting if known.issuperset(node.inputs)]
        order.append(ready[rng.integers(len(ready))])
        waiting.remove(order[-1])
    name = {node.id: f"n{number}" if number else node.id for number, node in enumerate(order)}
    nodes = []
    for node in order:
        inputs = [name[i] for i in node.inputs]
        if inputs and PRIMITIVES[node.op].commutative:
            rng.shuffle(inputs)
        nodes.append(replace(node, id=name[node.id], inputs=tuple(inputs)))
    nodes.append(replace(nodes[1], id="idle", inputs=(graph.nodes[0].id,)))
    return graph.model_copy(update={"nodes": tuple(nodes), "outputs": tuple(name[i] for i in graph.outputs)})


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
    assert all(Graph.model_validate(other.plain()) == other for other in others)
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
        unet().model_copy(update={"clip": True}),
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
    assert graph_digest(graph) != graph_digest(graph.model_copy(update={"outputs": graph.outputs[::-1]}))


def test_identities_do_not_depend_on_other_nodes():
    ids = {node.id for node in unet().nodes}
    assert {"input", "encoder.0.block.1", "decoder.0.up", "decoder.0.join", "head", "auxiliary.1"} <= ids
    assert ids <= {node.id for node in unet(blocks=[2, 2, 1, 3], excite=True, downsample="max").nodes}
    builder = GraphBuilder(2)
    with builder.scope("a"), builder.scope("b"):
        at = [builder.add("plain", builder.input) for _ in range(2)]
    assert [*at, builder.add("plain", builder.input)] == ["a.b.plain", "a.b.plain_1", "plain"]


@pytest.mark.parametrize("graph", [unet(), CELL, NETWORKS["vnet"](1, 2, 2)], ids=["unet", "cell", "vnet"])
def test_a_graph_survives_json(graph):
    text = canonical_json(graph.plain())
    again = Graph.model_validate_json(text)
    assert again == graph and hash(again) == hash(graph) and canonical_json(again.plain()) == text


def test_a_written_graph_gets_the_form_of_a_built_one():
    """Options that are left out have their defaults, and a kernel that makes no difference is 3."""
    graph = GraphBuilder(4, 1)
    built = graph.finish(graph.add("skip", graph.input, 6, 3), graph.add("inverted", graph.input, kernel=3))
    record = built.plain()
    record["nodes"][1]["kernel"] = [7]
    del record["nodes"][2]["options"]
    assert Graph.model_validate(record) == built


def changed(**node):
    record = cell(("a", "plain", "x"), ("b", "inverted", "a")).plain()
    record["nodes"][2].update(node)
    return record


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (changed(op="plane"), "node 'b': unknown primitive 'plane'. did you mean 'plain'"),
        (changed(inputs=["c"]), "node 'b': it reads 'c', which is no earlier node"),
        (changed(inputs=["b"]), "node 'b': it reads 'b', which is no earlier node"),
        (changed(id="a"), "'a' is taken"),
        (changed(id="a.b"), "'a.b' is taken"),
        (changed(id="a b"), "nodes.2.id"),
        (
            changed(op="add", inputs=["a", "input"], channels=5, options={}),
            "node 'b': add of .* channels does not give 5",
        ),
        (changed(options={"colour": 1}), "node 'b': primitive 'inverted' has no option 'colour'"),
        (changed(activation="tanh"), "nodes.2.activation"),
        (changed(width=3), "nodes.2.width"),
        ({**changed(), "outputs": ["c"]}, "the output 'c' is no node"),
        ({**changed(), "dims": 2}, "the first node must be the input"),
    ],
)
def test_what_is_no_graph_is_refused(record, message):
    with pytest.raises(ValidationError, match=message) as caught:
        Graph.model_validate(record)
    assert caught.value.error_count() == 1
