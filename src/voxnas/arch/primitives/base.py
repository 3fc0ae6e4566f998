"""The statement of a primitive, without torch: its shape, its layers, its tensors kept for backward, its drawing.

The module of a primitive is registered under the same name in :mod:`voxnas.nn.ops`. The contract tests compare
statement and module for each primitive, dimension, odd size and stride. A third-party package adds a primitive by
the entry points ``voxnas.primitives`` (a :class:`Primitive`) and ``voxnas.modules`` (the function that builds its
module), both under the name of the primitive.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from voxnas.arch.layers import Layer, Size, ones, strided
from voxnas.core.record import Positive
from voxnas.core.registry import Registry

Value = bool | int | float | str
Relation = Literal["new", "first", "sum", "joined", "fixed"]
"""Relation of output channels to input channels in structured pruning (:meth:`Primitive.relation`)."""


@dataclass(frozen=True)
class Shape:
    """Channels and size of a tensor, without the batch dimension.

    Attributes
    ----------
    channels : int
    size : tuple of int
        (D, H, W) in three dimensions; all 1 for a vector.
    frames : int
        Length of the time axis; 1 without a time axis.
    """

    channels: int
    size: Size
    frames: int = 1


def _pairs(options: Any) -> Any:
    return tuple(sorted(options.items())) if isinstance(options, Mapping) else options


@dataclass(frozen=True)
class Node:
    """One use of a primitive in a graph.

    Attributes
    ----------
    id : str
        Identity, unique within the graph and independent of the other nodes, such as ``encoder.1.block.0``.
    op : str
        Name of the primitive.
    inputs : tuple of str
        Identities of earlier nodes.
    channels : int
        Channels of the output.
    kernel, stride : tuple of int
        One entry for each spatial dimension.
    norm, activation : str
    options : tuple of (name, value)
        All options of the primitive, sorted by name; a mapping in JSON.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)

    id: Annotated[str, Field(pattern=r"^\w+(\.\w+)*$")]
    op: str
    inputs: tuple[str, ...]
    channels: Positive
    kernel: tuple[Positive, ...]
    stride: tuple[Positive, ...]
    norm: Annotated[str, Field(pattern="^(instance|group|batch)$")] = "instance"
    activation: Annotated[str, Field(pattern="^(relu|relu6|leaky_relu|prelu|elu|silu|gelu)$")] = "leaky_relu"
    options: Annotated[tuple[tuple[str, Value], ...], BeforeValidator(_pairs), PlainSerializer(dict)] = ()

    def option(self, name: str) -> Value:
        """Return the value of the option `name`."""
        return dict(self.options)[name]


class Primitive:
    """Base of all primitives; an instance is registered once and keeps no state.

    Attributes
    ----------
    name : str
        Set on registration.
    dims : tuple of int
        Spatial dimensions in which the primitive is defined.
    arity : int or None
        Number of inputs; None: two or more.
    commutative : bool
        Whether the order of its inputs has no effect.
    block : bool
        Whether any channels in, channels out and stride are allowed, as in the blocks of a stage.
    sized : bool
        Whether a kernel above 3 differs from a kernel of 3.
    temporal : bool
        Whether the primitive computes over the time axis of a clip, (B, T, C, D, H, W); others take each frame alone.
    ends_time : bool
        Whether the primitive removes the time axis.
    options : mapping of name to default
        Further choices.
    stem : str
        Primitive that replaces this one as the first block of a network, whose input has few channels.
    constant : bool
        Whether the output is independent of the input.
    window : bool
        Whether the primitive is a pooling with windows that may overlap: an operation of cells, but no block.
    head : bool
        Whether the primitive computes the output of the network; drawings do not show its channels as a width.
    activated_sum : bool
        Whether an activation follows the sum with the skip and keeps the sum for backward.
    ends_activated : bool
        Whether an activation follows a norm at the end.
    keeps_output : bool
        Whether the primitive is an activation, which keeps its output for backward.
    multiplies : bool
        Whether the primitive multiplies its input by computed factors and keeps the input for backward.
    keeps_positions : bool
        Whether the pooling keeps the position of each maximum for backward, as int64.
    full_precision : bool
        Whether the attention is computed in float32 under autocast too.
    """

    name: ClassVar[str] = ""
    dims: ClassVar[tuple[int, ...]] = (1, 2, 3)
    arity: ClassVar[int | None] = 1
    commutative: ClassVar[bool] = False
    block: ClassVar[bool] = True
    sized: ClassVar[bool] = True
    temporal: ClassVar[bool] = False
    ends_time: ClassVar[bool] = False
    options: ClassVar[dict[str, Value]] = {}
    stem: ClassVar[str] = "plain"
    constant: ClassVar[bool] = False
    window: ClassVar[bool] = False
    head: ClassVar[bool] = False
    activated_sum: ClassVar[bool] = True
    ends_activated: ClassVar[bool] = True
    keeps_output: ClassVar[bool] = False
    multiplies: ClassVar[bool] = False
    keeps_positions: ClassVar[bool] = False
    full_precision: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """Name of the primitive in figures and sentences."""
        return self.name.replace("_", " ")

    def uses_order(self, node: Node) -> bool:
        """Whether the output of `node` depends on the order of the frames."""
        return self.temporal

    def kept_heads(self, channels: int) -> int:
        """Heads, of so many channels, whose attention weights backward needs, one for each pair of places; 0: none."""
        return 0

    def channels(self, given: Sequence[int], asked: int | None) -> int:
        """Return the output channels, from the channels of the inputs (`given`) and the channels `asked` for."""
        return given[0] if asked is None else asked

    def relation(self, node: Node, given: Sequence[int]) -> Relation:
        """Return how the output channels relate to the input channels when channels are removed (structured pruning).

        Parameters
        ----------
        node : Node
        given : sequence of int
            Channels of the inputs.

        Returns
        -------
        Relation
            ``new``: they are independent; ``first``: they are the channels of the first input; ``sum``: of all inputs,
            which are tied; ``joined``: of all inputs, one input after another; ``fixed`` (default): no channel of an
            input or the output can be removed. A weight may depend on the numbers of channels in and out only, and a
            channel whose weights are 0 must not affect others.
        """
        return "fixed"

    def check(self, node: Node, given: Sequence[int], dims: int) -> None:
        """Refuse a node that cannot be built.

        Parameters
        ----------
        node : Node
        given : sequence of int
            Channels of the inputs.
        dims : int
            Spatial dimensions of the graph.

        Raises
        ------
        ValueError
            If the primitive is not defined for these dimensions, inputs or channels.
        """
        if dims not in self.dims:
            raise ValueError(f"{self.name} is not defined in {dims} dimensions")
        if len(given) != self.arity if self.arity is not None else len(given) < 2:
            raise ValueError(f"{self.name} takes {self.arity or 'two or more'} inputs, not {len(given)}")
        if not self.block and self.arity == 1 and node.channels != self.channels(given, None):
            raise ValueError(f"{self.name} gives {self.channels(given, None)} channels here, not {node.channels}")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """Return the shape of the output of `node` for `inputs`."""
        frames = 1 if self.ends_time else inputs[0].frames
        return Shape(node.channels, strided(inputs[0].size, node.stride), frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """Yield the layers of `node` for `inputs`, in the order of computation; unless temporal, for one frame.

        By default there are none: the values stay where they are.
        """
        return iter(())


PRIMITIVES: Registry[Primitive] = Registry("primitive", "voxnas.primitives")


def primitive(name: str) -> Callable[[type[Primitive]], type[Primitive]]:
    """Decorator: register a subclass of :class:`Primitive` under `name`."""

    def enter(kind: type[Primitive]) -> type[Primitive]:
        kind.name = name
        PRIMITIVES.register(name)(kind())
        return kind

    return enter


def blocks(temporal: bool = False) -> list[str]:
    """Names of the primitives that can be the blocks of a stage, sorted; with `temporal` also blocks over time."""
    return [name for name in PRIMITIVES if PRIMITIVES[name].block and (temporal or not PRIMITIVES[name].temporal)]


def conv_norm(inputs: int, outputs: int, kernel: Size, size: Size, groups: int = 1, frames: int = 1) -> Iterator[Layer]:
    """Yield a convolution without bias from `inputs` to `outputs` channels in `groups`, and the norm behind it.

    `size` is the size of the output, for each of the `frames`.
    """
    yield Layer("conv", inputs, outputs, kernel, size, groups, frames=frames)
    yield Layer("norm", outputs, outputs, ones(len(size)), size, frames=frames)


def is_same(node: Node, inputs: Sequence[Shape]) -> bool:
    """Whether a block keeps channels and size, so that its input can be added to its output."""
    return inputs[0].channels == node.channels and node.stride == ones(len(node.stride))


class Follows(Primitive):
    """Base of the primitives that treat each channel of their first input alone."""

    def relation(self, node: Node, given: Sequence[int]) -> Relation:
        """The channels of the first input."""
        return "first"


class Free(Primitive):
    """Base of the primitives each of whose output channels has weights for all input channels."""

    def relation(self, node: Node, given: Sequence[int]) -> Relation:
        """Independent channels."""
        return "new"


class Skipping(Primitive):
    """Base of the blocks with a residual connection, which is an identity where channels and size agree."""

    def relation(self, node: Node, given: Sequence[int]) -> Relation:
        """The channels of the input with an identity, else independent channels."""
        return "first" if given[0] == node.channels and node.stride == ones(len(node.stride)) else "new"


def shortcut(node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
    """Yield the layers of a residual connection: the sum, after a strided pointwise projection where shapes differ."""
    size = strided(inputs[0].size, node.stride)
    if not is_same(node, inputs):
        yield from conv_norm(inputs[0].channels, node.channels, ones(len(size)), size)
    yield Layer("move", node.channels, node.channels, ones(len(size)), size)
