"""Cells as data: one form for all ways to write a cell down, and what the families make of them."""

import itertools

import numpy as np
import pytest
from plans import space_file, volume_plan

from voxnas.arch.families import expand
from voxnas.arch.families.cells import Cells
from voxnas.arch.families.hierarchical import Hierarchical
from voxnas.arch.families.stacked.cell import canonical, flatten, parse_operation, root
from voxnas.arch.graph import graph_digest
from voxnas.arch.search_space import SearchSpace
from voxnas.complexity.analytic import analyze
from voxnas.core.architecture import network_key
from voxnas.core.errors import UserError

SKELETON = {
    "in_channels": 1,
    "out_channels": 3,
    "widths": [4, 6, 8],
    "cells": 1,
    "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]],
    "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
}
NORMAL = [[[0, "plain"], [1, "skip"]], [[2, "separable_5"], [1, "window_max"]], [[2, "plain_1"], [3, "dilated"]]]
UP = [[[0, "plain"], [1, "plain"]]]
OPERATIONS = ("plain", "skip", "separable", "zero")


def cells(**changes):
    return Cells(**{**SKELETON, "decoder": True, "normal": NORMAL, "reduction": NORMAL, "up": UP, **changes})


def hierarchical(cell, **changes):
    return Hierarchical(**{**SKELETON, "decoder": True, "cell": cell, **changes})


def random_cell(rng, inputs, nodes, edges=2):
    def edge(node):
        return int(rng.integers(node)), str(rng.choice(OPERATIONS))

    return [[edge(inputs + node) for _ in range(edges)] for node in range(nodes)]


def renumbered(cell, inputs, order, rng):
    """The same cell with its nodes in another order, and each node's edges too."""
    place = {inputs + node: inputs + at for at, node in enumerate(order)} | {i: i for i in range(inputs)}
    return [
        [(place[source], op) for source, op in [cell[node][i] for i in rng.permutation(len(cell[node]))]]
        for node in order
    ]


def orders(cell, inputs):
    """All orders of a cell's nodes in which sources come first."""
    for order in itertools.permutations(range(len(cell))):
        seen = set(range(inputs))
        if all(all(s in seen for s, _ in cell[node]) and not seen.add(inputs + node) for node in order):
            yield order


@pytest.mark.parametrize("nodes", [1, 2, 3, 4, 5])
def test_the_order_of_nodes_and_edges_has_no_effect(nodes):
    rng = np.random.default_rng(nodes)
    for _ in range(8):
        cell = random_cell(rng, 2, nodes)
        forms = {canonical(renumbered(cell, 2, order, rng), 2) for order in orders(cell, 2)}
        assert len(forms) == 1
        assert canonical(forms.pop(), 2) == canonical(cell, 2)


def test_cells_have_one_form_exactly_if_their_networks_are_equal():
    rng = np.random.default_rng(0)
    graphs, keys = {}, {}
    for _ in range(200):
        network = cells(normal=random_cell(rng, 2, 2), reduction=[], up=[], widths=[4, 4, 4])
        graph = graph_digest(expand(network))
        assert graphs.setdefault(network, graph) == graph
        assert keys.setdefault(graph, network) == network
    assert len(keys) < 195


def test_what_has_no_effect_is_left_out():
    assert canonical([[(0, "plain"), (1, "zero")], [(0, "zero"), (1, "zero")], [(3, "skip"), (2, "skip")]], 2) == (
        ((0, "plain"),),
        ((2, "skip"),),
    )
    # A node from which no path leads to the output, and one into which nothing comes.
    assert canonical([[(0, "plain")], [(0, "skip")], [(1, "plain"), (2, "zero")]], 1, one_output=True) == (
        ((0, "plain"),),
        ((1, "plain"),),
    )
    assert canonical([[(0, "plain")], [(1, "zero")]], 1, one_output=True) == ()


def test_a_cell_that_stands_nowhere_has_no_effect():
    one = {"widths": [4], "strides": [[1, 1, 1]], "kernels": [[3, 3, 3]]}
    assert cells(**one) == cells(**one, reduction=UP, up=NORMAL)
    assert cells(decoder=False) == cells(decoder=False, up=NORMAL)
    assert cells(up=NORMAL) != cells()
    assert cells(deep_supervision=True, dropout=0.5) == cells()


def test_all_choices_of_edges_give_networks_that_use_everything():
    for normal, reduction, up in itertools.product(([], [[[0, "plain"]]], [[[1, "skip"]]]), repeat=3):
        graph = expand(cells(normal=normal, reduction=reduction, up=up, cells=2))
        assert len(graph.needed(training=True)) == len(graph.nodes) - 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"normal": [[[2, "plain"]]]},
        {"normal": [[[0, "plane"]]]},
        {"normal": [[[0, "plain_3"]]]},
        {"normal": [[[0, "skip_5"]]]},
        {"up": [[[0, "window_max_1"]]]},
        {"normal": [[[0, "time_conv"]]]},
        {"cells": [1, 2]},
        {"kernels": [[3, 3, 5]] * 3},
        {"strides": [[2, 2, 2]] * 3},
    ],
    ids=str,
)
def test_what_cannot_be_built_is_refused(wrong):
    with pytest.raises(ValueError):
        cells(**wrong)


def test_operations_have_their_kernels():
    assert parse_operation("plain") == ("plain", 3)
    assert parse_operation("separable_5") == ("separable", 5)
    graph = expand(cells(normal=[[[1, "plain_5"]]], reduction=[[[1, "plain_1"]]]))
    kernels = [node.kernel for node in graph.nodes if node.op == "plain" and max(node.kernel) == 5]
    assert kernels == [(1, 5, 5)]  # one cell at full resolution, where the plan has a kernel of 1


def test_motifs_are_spelled_out():
    motif = [(0, 1, "plain"), (1, 2, "skip"), (0, 2, "zero")]
    chain = flatten([motif], [(0, 1, 0), (1, 2, 0)], 3)
    assert canonical(chain, 1, one_output=True) == (((0, "plain"),), ((1, "skip"),), ((2, "plain"),), ((3, "skip"),))
    both = flatten([motif, [(0, 2, "separable")]], [(0, 1, 0), (0, 1, 1)], 2)
    assert canonical(both, 1, one_output=True) == (((0, "plain"),), ((0, "separable"), (1, "skip")))


def test_motifs_have_one_form_whatever_their_numbers():
    rng = np.random.default_rng(2)
    pairs = [(0, 1), (0, 2), (1, 2)]
    for _ in range(30):
        motifs = [[(i, j, str(rng.choice(OPERATIONS))) for i, j in pairs] for _ in range(3)]
        cell = [(i, j, int(rng.integers(3))) for i, j in pairs]
        turned = flatten(motifs[::-1], [(i, j, 2 - motif) for i, j, motif in reversed(cell)], 3)
        assert hierarchical(turned) == hierarchical(flatten(motifs, cell, 3))


def test_a_cell_without_a_path_passes_its_input_on():
    assert hierarchical([[[0, "zero"]]]) == hierarchical([[[0, "skip"]]])


def test_chains_are_one_network_however_they_are_cut():
    link = (((0, "plain"),), ((0, "skip"), (1, "plain")))
    long = (*link, ((2, "plain"),), ((2, "skip"), (3, "plain")))
    assert root(long) == (link, 2)
    assert root(link) == (link, 1)
    assert hierarchical(long, decoder=False) == hierarchical(link, decoder=False, cells=2)
    assert hierarchical(long) != hierarchical(link, cells=2)  # for the decoder has one cell a stage


def test_sizes_and_costs_follow_from_the_strides():
    for network in (cells(), hierarchical([[[0, "plain"]]])):
        assert expand(network).divisor == (2, 4, 4)
        assert analyze(network, (6, 12, 20)).macs > analyze(network, (6, 12, 16)).macs


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("cells-unet", {"cell": {"nodes": 0, "operations": ["plain"]}}, "cell.nodes = 0; allowed: 1 to 6"),
        ("cells-unet", {"cell": {"nodes": 2, "operations": ["plane"]}}, "'plane' is not one of"),
        ("cells-unet", {"cell": {"nodes": 2, "operations": ["zero"]}}, "one besides zero"),
        ("cells-unet", {"cell": {"nodes": 2, "operations": ["plain"], "inputs": 2}}, "unknown key 'inputs'"),
        ("cells-cnn", {"cell": 3}, "write cell"),
        ("hierarchical-unet", {"motifs": {"count": 99, "nodes": 3}}, "motifs.count = 99"),
        ("hierarchical-unet", {"operations": "plain"}, "give a list"),
    ],
)
def test_a_structure_that_makes_no_sense_is_named(name, change, words):
    with pytest.raises(UserError, match=words):
        SearchSpace.from_dict({**space_file(name), **change}, "mine")


def test_what_a_file_says_of_an_edge_has_precedence():
    raw = space_file("cells-cnn")
    raw["parameters"] |= {"normal.0.a.op": "plain", "normal.0.a.from": {"choices": ["last"]}}
    rng = np.random.default_rng(0)
    space = SearchSpace.from_dict(raw)
    assert {(c["normal.0.a.op"], c["normal.0.a.from"]) for c in (space.sample(rng) for _ in range(20))} == {
        ("plain", "last")
    }


@pytest.mark.parametrize("name", ["cells-unet", "cells-cnn"])
def test_a_network_of_cells_is_found_again_in_its_space(name):
    space = SearchSpace.from_dict(space_file(name))
    plan = volume_plan(space.family.tasks[0])
    rng = np.random.default_rng(0)
    for _ in range(20):
        architecture, recipe = space.decode(space.sample(rng), plan)
        again = space.decode(space.nearest(recipe, architecture), plan)
        assert network_key(*again) == network_key(architecture, recipe)
