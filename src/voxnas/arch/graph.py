"""A network as a graph of primitives: the expanded form of an architecture, as plain data.

A search chooses an architecture, which is short; the graph lists all its operations. The module
(:mod:`voxnas.nn.network`), the cost (:mod:`voxnas.complexity.analytic`), the predictions of memory and latency, and the
drawings are all derived from the graph, and so agree.

A graph is a JSON record and independent of its origin: a family, pruning, or a person. Each node has an identity such
as ``encoder.1.block.0``, chosen by the builder of the family, under which the network registers the module of the node.
An edge is identified by the node that reads it and the position among the inputs of this node.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from pydantic import Field, model_validator

from voxnas.arch.layers import Layer, ones
from voxnas.arch.primitives.base import PRIMITIVES, Node, Primitive, Shape, Value
from voxnas.core.canonical import digest
from voxnas.core.errors import UserError
from voxnas.core.record import Record, Size

INPUT = "input"
"""Identity of the input, and the name of its operator."""
FACTS = ("op", "channels", "kernel", "stride", "norm", "activation", "options")
"""Fields of a node that determine its computation: all but its identity and its inputs."""


class Graph(Record):
    """Nodes in the order of computation; the first is the input.

    On validation a graph is rebuilt by a :class:`GraphBuilder`, so that graphs from JSON obey the same rules and have
    the same form as graphs from the builder.
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
    def _rebuilt(self) -> Self:
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
        """Map each identity to its node, in the order of computation."""
        return {node.id: node for node in self.nodes}

    def needed(self, training: bool, inputs: Mapping[str, tuple[str, ...]] | None = None) -> tuple[str, ...]:
        """Identities of the nodes on which the outputs depend (in training all outputs, else the first), in order.

        `inputs` replaces the inputs of all nodes, for example by those that a supernet has sampled.
        """
        found = set(self.outputs if training else self.outputs[:1])
        for node in reversed(self.nodes):
            if node.id in found:
                found.update(node.inputs if inputs is None else inputs[node.id])
        return tuple(node.id for node in self.nodes[1:] if node.id in found)

    def timed(self) -> set[str]:
        """Identities of the nodes whose output has a time axis."""
        timed = {INPUT} if self.clip else set()
        for node in self.nodes[1:]:
            if not PRIMITIVES[node.op].ends_time and not timed.isdisjoint(node.inputs):
                timed.add(node.id)
        return timed

    def uses_time(self) -> bool:
        """Whether any node depends on the order of the frames of a clip."""
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
        Layers of the node, in the order of computation.
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
        Norm and activation of the nodes for which none is given.
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
        """Return the node of this identity."""
        return self._nodes[identity]

    def channels(self, identity: str) -> int:
        """Channels of the output of the node of this identity."""
        return self._nodes[identity].channels

    @contextmanager
    def scope(self, name: str) -> Iterator[None]:
        """Prefix the identities of the nodes that are added within the context by `name` and a dot.

        A scope cannot be entered again: so the order of the nodes is the order of the parameters of the network.
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
            Channels of the output; None: the default of the primitive, mostly the channels of its first input.
        kernel, stride : tuple of int, int or None
            None: 1 along each axis.
        norm, activation : str or None
            None: norm and activation of the graph.
        options : mapping or None
            Options of the primitive; the others have their defaults.
        name : str
            Name of the node within its scope; empty: the name of the primitive, from the second node of a scope on with
            a number (``conv``, ``conv_1``, ``conv_2``), as in torch.fx.

        Raises
        ------
        ValueError
            If the name is taken, an input is no earlier node, or the primitive refuses the node (for an unknown option,
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
        """Return the identity of the next node; a ValueError if its module would contain another or lie in another."""
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
        """Return the graph; the first of `outputs` is the output of the network.

        Raises
        ------
        ValueError
            If an output is not a node.
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
    """Return all options of a primitive, `given` or default, sorted by name; a ValueError names an unknown one."""
    for name in given:
        if name not in primitive.options:
            raise ValueError(f"primitive {primitive.name!r} has no option {name!r}; it has {sorted(primitive.options)}")
    return tuple(sorted({**primitive.options, **given}.items()))


def graph_digest(graph: Graph) -> str:
    """Identity of the network that a graph describes: 16 hexadecimal digits.

    The digest is independent of the identities and the order of the nodes and of the order of the inputs of commutative
    merges, and ignores nodes on which no output depends. The inputs of a concatenation keep their order, for the order
    matters to a grouped or shuffled layer behind it.

    Each node is coloured by its fields, then repeatedly by the colours of its inputs and of its readers, until no class
    of equal colour splits any further (colour refinement, Weisfeiler and Leman 1968). Graphs of one network always have
    equal digests. Graphs of different networks have different digests, except for regular graphs, which refinement
    cannot distinguish: they have many equal nodes with equally many equal neighbours each.
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
