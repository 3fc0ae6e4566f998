"""A network as a graph of primitives: plain data between an architecture and everything that is made of it.

An architecture is short and is what a search chooses; its graph spells it out. The module
(:mod:`voxnas.nn.network`), the cost (:mod:`voxnas.complexity.analytic`), the predictions of memory
and latency, and the drawings are all made from the graph, so that they cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

from voxnas.arch.layers import Layer, Size, ones
from voxnas.arch.primitives.base import PRIMITIVES, Node, Primitive, Shape, Value
from voxnas.core.canonical import digest


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of computation; node 0 is the input.

    Attributes
    ----------
    dims : int
        Spatial dimensions, 1 to 3.
    nodes : tuple of Node
        Each takes the outputs of earlier nodes.
    outputs : tuple of int
        The node that answers; further ones are computed while training only (deep supervision).
    divisor : tuple of int
        What the input's size must be divisible by along each axis.
    clip : bool
        Whether the input has a time axis, (B, T, C, D, H, W).
    """

    dims: int
    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    divisor: Size
    clip: bool = False

    def needed(self, training: bool) -> tuple[int, ...]:
        """Numbers of the nodes that the outputs depend on, in the order of computation."""
        found = set(self.outputs if training else self.outputs[:1])
        for number in range(len(self.nodes) - 1, 0, -1):
            if number in found:
                found.update(self.nodes[number].inputs)
        return tuple(sorted(found - {0}))

    def timed(self) -> tuple[bool, ...]:
        """Whether the output of each node has a time axis."""
        timed = [self.clip]
        for node in self.nodes[1:]:
            timed.append(any(timed[i] for i in node.inputs) and not PRIMITIVES[node.op].ends_time)
        return tuple(timed)


@dataclass(frozen=True)
class ShapedNode:
    """A node with the shapes around it.

    Attributes
    ----------
    number : int
        The node's place in the graph.
    node : Node
    inputs : tuple of Shape
    output : Shape
    layers : tuple of Layer
        Its layers, in the order of computation.
    """

    number: int
    node: Node
    inputs: tuple[Shape, ...]
    output: Shape
    layers: tuple[Layer, ...]


def infer_shapes(graph: Graph, size: Size) -> Iterator[ShapedNode]:
    """Walk through a graph with an input of a given size.

    Parameters
    ----------
    graph : Graph
    size : tuple of int
        Size of the input: (D, H, W) in three dimensions; of a graph with a time axis (T, D, H, W).
    """
    frames, space = (size[0], size[1:]) if graph.clip else (1, size)
    shapes = [Shape(graph.nodes[0].channels, tuple(space), frames)]
    timed = graph.timed()
    for number, node in enumerate(graph.nodes[1:], start=1):
        primitive = PRIMITIVES[node.op]
        inputs = tuple(shapes[i] for i in node.inputs)
        output = primitive.shape(node, inputs)
        layers = tuple(primitive.layers(node, inputs))
        if timed[number] and not primitive.temporal:
            count = inputs[0].frames
            layers = tuple(layer._replace(frames=count * layer.frames) for layer in layers)
        shapes.append(output)
        yield ShapedNode(number, node, inputs, output, layers)


class GraphBuilder:
    """Builds a graph node by node.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    dims : int
        Spatial dimensions.
    norm, activation : str
        What nodes have unless they say otherwise.
    clip : bool
        Whether the input has a time axis.
    """

    def __init__(
        self,
        in_channels: int,
        dims: int = 3,
        norm: str = "instance",
        activation: str = "leaky_relu",
        clip: bool = False,
    ) -> None:
        self.dims, self.clip = dims, clip
        self._template = Node("input", (), in_channels, ones(dims), ones(dims), norm, activation)
        self._nodes = [self._template]
        self.input = 0

    def channels(self, number: int) -> int:
        """Channels of a node's output."""
        return self._nodes[number].channels

    def add(
        self,
        op: str,
        inputs: int | tuple[int, ...],
        channels: int | None = None,
        kernel: Size | int | None = None,
        stride: Size | int | None = None,
        norm: str | None = None,
        activation: str | None = None,
        options: Mapping[str, Value] | None = None,
    ) -> int:
        """Add a node and return its number.

        Parameters
        ----------
        op : str
            Name of a registered primitive.
        inputs : int or tuple of int
            Earlier nodes.
        channels : int or None
            Of the output; None: as the primitive has it, mostly those of its first input.
        kernel, stride : tuple of int, int or None
            None is 1 along each axis.
        norm, activation : str or None
            None: the graph's.
        options : mapping or None
            The primitive's own; the others have their defaults.

        Raises
        ------
        ValueError
            If the primitive refuses the node (an unknown option, a wrong number of inputs ..).
        """
        inputs = (inputs,) if isinstance(inputs, int) else tuple(inputs)
        primitive = PRIMITIVES[op]
        given = tuple(self.channels(i) for i in inputs)
        node = replace(
            self._template,
            op=op,
            inputs=inputs,
            channels=primitive.channels(given, channels),
            kernel=self._spread(kernel) if primitive.sized else tuple(min(k, 3) for k in self._spread(kernel)),
            stride=self._spread(stride),
            norm=norm or self._template.norm,
            activation=activation or self._template.activation,
            options=resolve_options(primitive, options or {}),
        )
        primitive.check(node, given, self.dims)
        self._nodes.append(node)
        return len(self._nodes) - 1

    def _spread(self, value: Size | int | None) -> Size:
        if value is None:
            return ones(self.dims)
        return (value,) * self.dims if isinstance(value, int) else tuple(value)

    def finish(self, *outputs: int, divisor: Size | None = None) -> Graph:
        """The graph, with its answering node first among the outputs."""
        return Graph(self.dims, tuple(self._nodes), outputs, divisor or ones(self.dims), self.clip)


def resolve_options(primitive: Primitive, given: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """All options of a primitive, sorted by name; a ValueError names one that it does not have."""
    for name in given:
        if name not in primitive.options:
            raise ValueError(f"primitive {primitive.name!r} has no option {name!r}; it has {sorted(primitive.options)}")
    return tuple(sorted({**primitive.options, **given}.items()))


def graph_digest(graph: Graph) -> str:
    """Identity of the network that a graph describes: 16 hexadecimal digits.

    It does not depend on the numbering of the nodes nor on the order of the inputs of commutative merges, and
    ignores nodes that no output needs. The inputs of a concatenation keep their order, for a grouped or
    shuffled layer behind it sees the difference.

    Every node is coloured by what it is, then by the colours above it and below it, until no further node is
    told apart (colour refinement, Weisfeiler and Leman 1968). Graphs of one network always agree. Different
    graphs differ unless they are of the regular kind that refinement cannot tell apart, which takes many equal nodes
    with equally many equal neighbours each.
    """
    order = (0, *graph.needed(training=True))
    names = [field.name for field in fields(Node) if field.name != "inputs"]
    rank = {number: place for place, number in reversed(list(enumerate(graph.outputs)))}
    colours = {n: digest([[getattr(graph.nodes[n], name) for name in names], rank.get(n)], 16) for n in order}
    users: dict[int, list[tuple[int, int]]] = {n: [] for n in order}
    for n in order:
        for slot, i in enumerate(graph.nodes[n].inputs):
            users[i].append((n, 0 if PRIMITIVES[graph.nodes[n].op].commutative else slot))
    known = 0
    while len(set(colours.values())) > known:
        known = len(set(colours.values()))
        for n in order:
            above = [colours[i] for i in graph.nodes[n].inputs]
            if n and PRIMITIVES[graph.nodes[n].op].commutative:
                above.sort()
            colours[n] = digest([colours[n], above], 16)
        for n in reversed(order):
            below = sorted([colours[user], slot] for user, slot in users[n])
            colours[n] = digest([colours[n], below], 16)
    return digest([graph.dims, graph.clip, graph.divisor, sorted(colours.values())], 16)
