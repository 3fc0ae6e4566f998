"""Structured pruning of a network: which channels can be removed, their importance, and the narrower graph.

The channels of a graph fall into classes. A class contains the channels that sums, norms, depthwise convolutions and
identity skips tie to each other, so that they are removed together (the dependency graph of Fang et al. 2023, CVPR,
here read from the record of the network). The classes that the same nodes compute form a group, such as all channels of
a residual stage.

A network without some channels computes what it does with zeros in their place. Group norm is the exception: the
groups of the remaining channels are formed anew, to which the fine-tuning adapts.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import NamedTuple

import numpy as np
import torch
from scipy.cluster.hierarchy import DisjointSet
from torch import Tensor, nn

from voxnas.arch.graph import INPUT, Graph
from voxnas.arch.primitives.base import PRIMITIVES, Node, Relation
from voxnas.core.errors import UserError
from voxnas.core.training import Channels
from voxnas.nn.ops.base import MODULES

PROBES = 1021, 2039
"""Channels in and out of the layers that are built to learn which axis of a weight has the channels of which tensor."""


@dataclass(frozen=True)
class ChannelGroups:
    """Channels of a graph by the classes that are removed together.

    Attributes
    ----------
    classes : dict of str to tuple of int
        Class of each output channel of each node.
    groups : dict of str to tuple of int
        Classes that can be removed, by a node that computes one channel of each class of the group.
    fixed : tuple of str
        Operators of the graph that cannot be pruned; the channels that they read and compute are kept.
    """

    classes: dict[str, tuple[int, ...]]
    groups: dict[str, tuple[int, ...]]
    fixed: tuple[str, ...]


class _Layer(NamedTuple):
    """Classes of the channels of a layer."""

    outputs: tuple[int, ...]
    inputs: tuple[int, ...] | None
    transposed: bool


def relation_of(graph: Graph, node: Node) -> Relation:
    """Relation of the output channels of a node to its input channels."""
    nodes = graph.by_id()
    return PRIMITIVES[node.op].relation(node, [nodes[i].channels for i in node.inputs])


def channel_groups(graph: Graph) -> ChannelGroups:
    """Find the channels that can be removed, and those that are tied to each other."""
    tied, makers = DisjointSet(), list[str]()
    own: dict[str, list[int]] = {}
    kept, refused = set[int](), set[str]()
    for node in graph.nodes:
        relation = "fixed" if node.id == INPUT else relation_of(graph, node)
        inputs = [own[i] for i in node.inputs]
        if relation == "joined":
            own[node.id] = [c for channels in inputs for c in channels]
        elif relation in ("first", "sum"):
            own[node.id] = inputs[0]
            for channels in inputs[1:] if relation == "sum" else ():
                for first, other in zip(inputs[0], channels, strict=True):
                    tied.merge(first, other)
        else:
            own[node.id] = list(range(len(makers), len(makers) + node.channels))
            makers += [node.id] * node.channels
            for channel in own[node.id]:
                tied.add(channel)
        if relation == "fixed":
            kept.update(own[node.id], *inputs)
            refused.add(node.op)
    kept.update(c for output in graph.outputs for c in own[output])

    classes = {identity: tuple(tied[c] for c in channels) for identity, channels in own.items()}
    by_makers: dict[frozenset[str], list[int]] = {}
    for members in tied.subsets():
        if kept.isdisjoint(members):
            by_makers.setdefault(frozenset(makers[c] for c in members), []).append(tied[min(members)])
    groups = {}
    for names, found in by_makers.items():
        owners = [n for n in own if n in names and sorted(classes[n]) == sorted(found)]
        if owners:
            groups[owners[0]] = tuple(sorted(found))
    return ChannelGroups(classes, groups, tuple(sorted(refused - {INPUT})))


def _probe(node: Node, relation: Relation) -> nn.Module:
    """Build the module of a node with other numbers of channels, without memory for its weights."""
    given, channels = PROBES[0], PROBES[0 if relation == "first" else 1]
    with torch.device("meta"):
        return MODULES[node.op](_resized(node, channels, relation), [given] * len(node.inputs))


def _resized(node: Node, channels: int, relation: Relation) -> Node:
    """Return a node with so many channels; a depthwise convolution also has so many groups."""
    groups = {"groups": channels} if relation == "first" and "groups" in dict(node.options) else {}
    return replace(node, channels=channels, options=tuple({**dict(node.options), **groups}.items()))


def _layers(graph: Graph, classes: Mapping[str, tuple[int, ...]]) -> dict[str, _Layer]:
    """Classes of the channels of each layer with channels that may be removed, by the layer's name in the network."""
    found, timed = {}, graph.timed()
    for node in graph.nodes[1:]:
        relation = relation_of(graph, node)
        if relation not in ("new", "first"):
            continue
        roles = {PROBES[1]: classes[node.id], PROBES[0]: classes[node.inputs[0]]}
        framewise = node.id in timed and not PRIMITIVES[node.op].temporal
        prefix = f"{node.id}.module" if framewise else node.id
        for name, layer in _probe(node, relation).named_modules():
            tensors = [*layer.parameters(recurse=False), *layer.buffers(recurse=False)]
            if not tensors:
                continue
            shape = max((t.shape for t in tensors), key=len)
            transposed = isinstance(layer, nn.modules.conv._ConvTransposeNd)
            outputs, inputs = reversed(shape[:2]) if transposed else (*shape[:2], 1)[:2]
            found[f"{prefix}.{name}" if name else prefix] = _Layer(roles[outputs], roles.get(inputs), transposed)
    return found


def channel_scores(graph: Graph, groups: ChannelGroups, tensors: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Importance of the classes of each group: the L2 norm of all weights that are removed with the class.

    The norm over all tied layers follows Fang et al. (2023, CVPR, equation 5).

    Parameters
    ----------
    graph : Graph
    groups : ChannelGroups
        Of the graph.
    tensors : mapping of str to Tensor, (shape of the parameter)
        Weights of the network.

    Returns
    -------
    dict of str to ndarray, (classes of the group,)
        By group, relative to the mean of the group.
    """
    squares = np.zeros(1 + max(max(channels) for channels in groups.classes.values()))
    for name, outputs_axis, layer in _tensors(graph, groups, tensors):
        tensor = tensors[name].double().square()
        for axis, classes in ((outputs_axis, layer.outputs), (1 - outputs_axis, layer.inputs)):
            if classes is not None and axis < tensor.ndim:
                others = [a for a in range(tensor.ndim) if a != axis]
                np.add.at(squares, list(classes), (tensor.sum(others) if others else tensor).numpy())
    scores = {owner: np.sqrt(squares[list(found)]) for owner, found in groups.groups.items()}
    return {owner: found / (found.mean() or 1.0) for owner, found in scores.items()}


def random_scores(groups: ChannelGroups, seed: int) -> dict[str, np.ndarray]:
    """Random importance of the classes of each of the `groups`, uniform in (0, 1) and given by the `seed`."""
    generator = np.random.default_rng(seed)
    return {owner: generator.random(len(found)) for owner, found in groups.groups.items()}


def _tensors(graph: Graph, groups: ChannelGroups, tensors: Mapping[str, Tensor]) -> Iterable[tuple[str, int, _Layer]]:
    """Yield the parameters whose channels may be removed: name, axis of the output channels, and layer."""
    layers = _layers(graph, groups.classes)
    for name, tensor in tensors.items():
        layer = layers.get(name.rpartition(".")[0])
        if layer is not None and tensor.ndim and "running_" not in name:
            yield name, int(layer.transposed and tensor.ndim > 1), layer


def kept_channels(graph: Graph, groups: ChannelGroups, removed: set[int]) -> dict[str, Channels]:
    """Channels that each layer keeps when the classes `removed` are removed, by the name of the layer."""

    def kept(classes: tuple[int, ...] | None) -> tuple[int, ...] | None:
        if classes is None or removed.isdisjoint(classes):
            return None
        return tuple(i for i, c in enumerate(classes) if c not in removed)

    found = {
        name: Channels(outputs=kept(layer.outputs), inputs=kept(layer.inputs))
        for name, layer in _layers(graph, groups.classes).items()
    }
    return {name: channels for name, channels in found.items() if channels != Channels()}


def narrowed(graph: Graph, groups: ChannelGroups, removed: set[int]) -> Graph:
    """The graph without the classes `removed`."""
    nodes = [graph.nodes[0]]
    for node in graph.nodes[1:]:
        channels = sum(c not in removed for c in groups.classes[node.id])
        nodes.append(node if channels == node.channels else _resized(node, channels, relation_of(graph, node)))
    return Graph(**{**dict(graph), "nodes": tuple(nodes)})


def removed_classes(groups: ChannelGroups, scores: Mapping[str, np.ndarray], narrow: Graph) -> set[int]:
    """The least important classes of each group, so that the widths of the graph `narrow` remain."""
    nodes = narrow.by_id()
    return {
        found[i]
        for owner, found in groups.groups.items()
        for i in np.argsort(scores[owner], kind="stable")[: len(found) - nodes[owner].channels]
    }


def narrow_to(
    graph: Graph, profiles: Mapping[str, np.ndarray], cost: Callable[[Graph], float], most: float, least: float
) -> Graph:
    """Remove the least important channels of all groups until the cost is small enough.

    Parameters
    ----------
    graph : Graph
    profiles : mapping of str to ndarray, (classes of the group,)
        Importance of the classes of each group.
    cost : callable
        Cost of a graph.
    most : float
        Largest cost.
    least : float
        Share of the channels of a group that remain at least, so that no layer collapses.

    Raises
    ------
    UserError
        If the cost remains larger; the message names the operators that cannot be pruned.
    """
    groups = channel_groups(graph)

    def above(threshold: float) -> Graph:
        widths = {
            owner: max(ceil(least * len(found)), 1, int((profiles[owner] > threshold).sum()))
            for owner, found in groups.groups.items()
        }
        return _with_widths(graph, groups, widths)

    thresholds = np.unique(np.concatenate([*profiles.values(), [0.0]]))
    index = bisect_left(thresholds, -most, key=lambda threshold: -cost(above(threshold)))
    if index == len(thresholds):
        fixed = ", ".join(groups.fixed) or "none"
        raise UserError(
            f"pruning reaches a cost of {cost(above(thresholds[-1])):,.0f}, not {most:,.0f}; operators that cannot be "
            f"pruned: {fixed}",
            "raise the smallest of compression.prune.levels or lower compression.prune.least",
        )
    return above(thresholds[index])


def _with_widths(graph: Graph, groups: ChannelGroups, widths: dict[str, int]) -> Graph:
    """The graph with so many channels in each group, or one more where a projection would become an identity."""
    owner_of = {c: owner for owner, found in groups.groups.items() for c in found}
    while True:
        removed = {c for owner, found in groups.groups.items() for c in found[widths[owner] :]}
        narrow = narrowed(graph, groups, removed)
        nodes = narrow.by_id()
        changed = [n for n in graph.nodes[1:] if relation_of(graph, n) != relation_of(narrow, nodes[n.id])]
        if not changed:
            return narrow
        ends = (*groups.classes[changed[0].id], *groups.classes[changed[0].inputs[0]])
        owner = next(owner_of[c] for c in ends if c in owner_of)
        widths[owner] += 1 if widths[owner] < len(groups.groups[owner]) else -1
