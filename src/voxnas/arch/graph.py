"""A network as a graph of primitives: plain data between an architecture and everything that is made of it.

An architecture is short and is what a search chooses; its graph spells it out. The module
(:mod:`voxnas.nn.network`), the cost (:mod:`voxnas.complexity.analytic`), the predictions of memory
and latency, and the drawings are all made from the graph, so that they cannot disagree.

A graph is a JSON record and stands for itself, whatever made it: a family, pruning, a person. Each node has an
identity such as ``encoder.1.block.0``, chosen by the builder of the family, under which the network registers the
node's module. An edge is identified by the node that reads it and the position among that node's inputs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import Field, model_validator

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import PRIMITIVES, Node, Primitive, Shape, Value
from voxnas.core.canonical import digest
from voxnas.core.errors import UserError
from voxnas.core.record import Record, Size

INPUT = "input"
"""Identity of the input, and the name of its operator."""
FACTS = ("op", "channels", "kernel", "stride", "norm", "activation", "options")
"""Fields of a node that say what it computes: all but its identity and its inputs."""


class Graph(Record):
    """Nodes in the order of computation; the first is the input.

    A graph that a :class:`GraphBuilder` has not made (out of JSON) is built anew on validation, so that it obeys the
    same rules and has the same form.
    """

    dims: int = Field(ge=1, le=3, description="Spatial dimensions.")
    nodes: tuple[Node, ...] = Field(min_length=1, description="Each reads the outputs of earlier nodes.")
    outputs: tuple[str, ...] = Field(
        min_length=1,
        description="The node whose output is the network's; further ones are computed in training (deep supervision).",
    )
    divisor: Size = Field(description="Divisor of the size of the input along each axis.")
    clip: bool = Field(False, description="Whether the input has a time axis, (B, T, C, D, H, W).")

    @model_validator(mode="after")
    def _rebuilt(self) -> Graph:
        first = self.nodes[0]
        builder = GraphBuilder(first.channels, self.dims, first.norm, first.activation, self.clip)
        if first != builder.node(INPUT):
            raise ValueError(f"the first node must be the input, {builder.node(INPUT)}, not {first}")
        for node in self.nodes[1:]:
            try:
                builder.add(
                    node.op,
                    node.inputs,
                    node.channels,
                    node.kernel,
                    node.stride,
                    node.norm,
                    node.activation,
                    dict(node.options),
                    node.id,
                )
            except (ValueError, UserError) as error:
                raise ValueError(f"node {node.id!r}: {error}") from None
        built = builder.finish(*self.outputs, divisor=self.divisor)
        object.__setattr__(self, "nodes", built.nodes)
        return self

    def by_id(self) -> dict[str, Node]:
        """The nodes by their identities, in the order of computation."""
        return {node.id: node for node in self.nodes}

    def needed(self, training: bool) -> tuple[str, ...]:
        """The nodes that the outputs (those in training, or the first) depend on, without the input, in order."""
        found = set(self.outputs if training else self.outputs[:1])
        for node in reversed(self.nodes):
            if node.id in found:
                found.update(node.inputs)
        return tuple(node.id for node in self.nodes[1:] if node.id in found)

    def timed(self) -> set[str]:
        """The nodes whose output has a time axis."""
        timed = {INPUT} if self.clip else set()
        for node in self.nodes[1:]:
            if not PRIMITIVES[node.op].ends_time and not timed.isdisjoint(node.inputs):
                timed.add(node.id)
        return timed

    def uses_time(self) -> bool:
        """Whether the network would tell a clip from the same frames in another order."""
        return any(PRIMITIVES[node.op].uses_order(node) for node in self.nodes[1:])


@dataclass(frozen=True)
class ShapedNode:
    """A node with the shapes of its inputs and its output.

    Attributes
    ----------
    node : Node
    inputs : tuple of Shape
    output : Shape
    layers : tuple of Layer
        Its layers, in the order of computation.
    """

    node: Node
    inputs: tuple[Shape, ...]
    output: Shape
    layers: tuple[Layer, ...]


def infer_shapes(graph: Graph, size: Size) -> Iterator[ShapedNode]:
    """Infer the shapes in a graph, node by node, from the size of its input.

    Parameters
    ----------
    graph : Graph
    size : tuple of int
        Size of the input: (D, H, W) in three dimensions; of a graph with a time axis (T, D, H, W).
    """
    frames, space = (size[0], size[1:]) if graph.clip else (1, size)
    shapes = {INPUT: Shape(graph.nodes[0].channels, tuple(space), frames)}
    timed = graph.timed()
    for node in graph.nodes[1:]:
        primitive = PRIMITIVES[node.op]
        inputs = tuple(shapes[i] for i in node.inputs)
        output = primitive.shape(node, inputs)
        layers = tuple(primitive.layers(node, inputs))
        if node.id in timed and not primitive.temporal:
            count = inputs[0].frames
            layers = tuple(layer._replace(frames=count * layer.frames) for layer in layers)
        shapes[node.id] = output
        yield ShapedNode(node, inputs, output, layers)


class GraphBuilder:
    """Builds a graph node by node.

    Parameters
    ----------
    in_channels : int
        Channels of the input.
    dims : int
        Spatial dimensions.
    norm, activation : str
        Norm and activation of the nodes that name none.
    clip : bool
        Whether the input has a time axis.
    """

    input = INPUT

    def __init__(
        self,
        in_channels: int,
        dims: int = 3,
        norm: str = "instance",
        activation: str = "leaky_relu",
        clip: bool = False,
    ) -> None:
        self.dims, self.clip, self.norm, self.activation = dims, clip, norm, activation
        one = ones(dims)
        self._nodes = {INPUT: Node(INPUT, INPUT, (), in_channels, one, one, norm, activation)}
        self._scope = ""
        self._scopes: set[str] = set()
        self._unnamed: dict[str, int] = {}

    def node(self, identity: str) -> Node:
        """A node by its identity."""
        return self._nodes[identity]

    def channels(self, identity: str) -> int:
        """Channels of the output of the node with this identity."""
        return self._nodes[identity].channels

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Put a name and a dot before the identities of the nodes that are added within the context.

        A scope is left for good: the order of the nodes is then the order of the network's parameters.
        """
        outer, self._scope = self._scope, f"{self._scope}{name}."
        try:
            yield
        finally:
            self._scope = outer

    def add(
        self,
        op: str,
        inputs: str | tuple[str, ...],
        channels: int | None = None,
        kernel: Size | int | None = None,
        stride: Size | int | None = None,
        norm: str | None = None,
        activation: str | None = None,
        options: Mapping[str, Value] | None = None,
        name: str = "",
    ) -> str:
        """Add a node and return its identity.

        Parameters
        ----------
        op : str
            Name of a registered primitive.
        inputs : str or tuple of str
            Earlier nodes.
        channels : int or None
            Of the output; None: as the primitive has it, mostly those of its first input.
        kernel, stride : tuple of int, int or None
            None is 1 along each axis.
        norm, activation : str or None
            None: the graph's.
        options : mapping or None
            The primitive's own; the others have their defaults.
        name : str
            Of the node within its scope; empty: the primitive's, from the second of a scope on with a number
            (``conv``, ``conv_1``, ``conv_2``), as in torch.fx.

        Raises
        ------
        ValueError
            If the name is taken, an input is no earlier node, or the primitive refuses the node (an unknown option,
            a wrong number of inputs ..).
        """
        inputs = (inputs,) if isinstance(inputs, str) else tuple(inputs)
        for identity in inputs:
            if identity not in self._nodes:
                raise ValueError(f"it reads {identity!r}, which is no earlier node")
        primitive = PRIMITIVES[op]
        given = tuple(self.channels(i) for i in inputs)
        node = Node(
            id=self._identify(op, name),
            op=op,
            inputs=inputs,
            channels=primitive.channels(given, channels),
            kernel=self._spread(kernel) if primitive.sized else tuple(min(k, 3) for k in self._spread(kernel)),
            stride=self._spread(stride),
            norm=norm or self.norm,
            activation=activation or self.activation,
            options=resolve_options(primitive, options or {}),
        )
        primitive.check(node, given, self.dims)
        self._nodes[node.id] = node
        return node.id

    def _identify(self, op: str, name: str) -> str:
        """The identity of the next node; a module can lie neither within another node's module nor around it."""
        identity = outer = self._scope + (name or op)
        if not name:
            count = self._unnamed.get(identity, 0)
            self._unnamed[identity] = count + 1
            identity = f"{identity}_{count}" if count else identity
        taken = identity in self._nodes or identity in self._scopes
        while (outer := outer.rpartition(".")[0]) and outer not in self._scopes:
            taken |= outer in self._nodes
            self._scopes.add(outer)
        if taken:
            raise ValueError(f"the identity {identity!r} is taken by another node or scope")
        return identity

    def _spread(self, value: Size | int | None) -> Size:
        if value is None:
            return ones(self.dims)
        return (value,) * self.dims if isinstance(value, int) else tuple(value)

    def finish(self, *outputs: str, divisor: Size | None = None) -> Graph:
        """The graph, with the node of its answer first among the outputs.

        Raises
        ------
        ValueError
            If an output is no node.
        """
        for identity in outputs:
            if identity not in self._nodes:
                raise ValueError(f"the output {identity!r} is no node")
        return Graph.model_construct(
            dims=self.dims,
            nodes=tuple(self._nodes.values()),
            outputs=outputs,
            divisor=divisor or ones(self.dims),
            clip=self.clip,
        )


def resolve_options(primitive: Primitive, given: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """All options of a primitive, sorted by name; a ValueError names one that it does not have."""
    for name in given:
        if name not in primitive.options:
            raise ValueError(f"primitive {primitive.name!r} has no option {name!r}; it has {sorted(primitive.options)}")
    return tuple(sorted({**primitive.options, **given}.items()))


def graph_digest(graph: Graph) -> str:
    """Identity of the network that a graph describes: 16 hexadecimal digits.

    It does not depend on the identities and the order of the nodes nor on the order of the inputs of commutative
    merges, and ignores nodes that no output needs. The inputs of a concatenation keep their order, for a grouped or
    shuffled layer behind it sees the difference.

    Every node is coloured by what it is, then by the colours above it and below it, until no further node is
    told apart (colour refinement, Weisfeiler and Leman 1968). Graphs of one network always agree. Different
    graphs differ unless they are of the regular kind that refinement cannot tell apart, which takes many equal nodes
    with equally many equal neighbours each.
    """
    nodes, order = graph.by_id(), (INPUT, *graph.needed(training=True))
    rank = {identity: place for place, identity in reversed(list(enumerate(graph.outputs)))}
    colours = {n: digest([[getattr(nodes[n], name) for name in FACTS], rank.get(n)], 16) for n in order}
    users: dict[str, list[tuple[str, int]]] = {n: [] for n in order}
    for n in order:
        for slot, i in enumerate(nodes[n].inputs):
            users[i].append((n, 0 if PRIMITIVES[nodes[n].op].commutative else slot))
    known = 0
    while len(set(colours.values())) > known:
        known = len(set(colours.values()))
        for n in order:
            above = [colours[i] for i in nodes[n].inputs]
            if above and PRIMITIVES[nodes[n].op].commutative:
                above.sort()
            colours[n] = digest([colours[n], above], 16)
        for n in reversed(order):
            below = sorted([colours[user], slot] for user, slot in users[n])
            colours[n] = digest([colours[n], below], 16)
    return digest([graph.dims, graph.clip, graph.divisor, sorted(colours.values())], 16)
