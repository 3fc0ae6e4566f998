"""The statement of a primitive, without torch: its shape, its layers, what it keeps for backward, how it is drawn.

The module that computes it is registered under the same name in :mod:`voxnas.nn.ops`, and the
contract tests hold the two against each other, for each primitive, dimension, odd size and stride.
A third-party package adds one by the entry points ``voxnas.primitives`` (a :class:`Primitive`) and
``voxnas.modules`` (what builds its module), each under the primitive's name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, ConfigDict, Field, PlainSerializer

from voxnas.arch.layers import Layer, Size, ones, strided
from voxnas.core.record import Positive
from voxnas.core.registry import Registry

Value = bool | int | float | str


@dataclass(frozen=True)
class Shape:
    """Channels and size of a tensor, without the batch.

    Attributes
    ----------
    channels : int
    size : tuple of int
        (D, H, W) in three dimensions; all 1 for a vector.
    frames : int
        Length of the time axis; 1 where there is none.
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
        Of the output.
    kernel, stride : tuple of int
        One entry for each spatial dimension.
    norm, activation : str
    options : tuple of (name, value)
        All of the primitive's options, sorted; a mapping in JSON.
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
        """Value of the primitive's option of a name."""
        return dict(self.options)[name]


class Primitive:
    """Base of all primitives; an instance is registered once and keeps no state.

    Attributes
    ----------
    name : str
        Set on registration.
    dims : tuple of int
        Spatial dimensions for which it is defined.
    arity : int or None
        Number of inputs; None: two or more.
    commutative : bool
        Whether the order of its inputs has no effect.
    block : bool
        Whether it takes any channels to any channels at any stride, as the blocks of a stage do.
    sized : bool
        Whether kernels above 3 differ from one of 3.
    temporal : bool
        Whether it works on the time axis of a clip, (B, T, C, D, H, W). The others see one frame at a time.
    ends_time : bool
        Whether its output has no time axis any more.
    options : mapping of name to default
        Further choices.
    stem : str
        Primitive that takes this one's place as the first block of a network, where few channels come in.
    constant : bool
        Whether its output does not depend on its input.
    window : bool
        Whether it is an operation of cells without being a block: a pooling whose windows may overlap.
    head : bool
        Whether it computes the network's answer, whose channels are no width of the network in a drawing.
    activated_sum : bool
        Whether an activation follows the sum with the skip, and keeps it for backward.
    keeps_positions : bool
        Whether its pooling keeps the position of each maximum for backward, an int64.
    full_precision : bool
        Whether its attention is computed in float32 under autocast too.
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
    keeps_positions: ClassVar[bool] = False
    full_precision: ClassVar[bool] = False

    @property
    def title(self) -> str:
        """Name in figures and sentences."""
        return self.name.replace("_", " ")

    def uses_order(self, node: Node) -> bool:
        """Whether the output depends on the order of the frames."""
        return self.temporal

    def kept_heads(self, channels: int) -> int:
        """Heads, of so many channels, whose attention weights backward needs, one for each pair of places; 0: none."""
        return 0

    def channels(self, given: Sequence[int], asked: int | None) -> int:
        """Output channels, from those of the inputs and those asked for."""
        return given[0] if asked is None else asked

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
            Says why.
        """
        if dims not in self.dims:
            raise ValueError(f"{self.name} is not defined in {dims} dimensions")
        if len(given) != self.arity if self.arity is not None else len(given) < 2:
            raise ValueError(f"{self.name} takes {self.arity or 'two or more'} inputs, not {len(given)}")
        if not self.block and self.arity == 1 and node.channels != self.channels(given, None):
            raise ValueError(f"{self.name} gives {self.channels(given, None)} channels here, not {node.channels}")

    def shape(self, node: Node, inputs: Sequence[Shape]) -> Shape:
        """Shape of the output; a frame's for those that are not temporal."""
        return Shape(node.channels, strided(inputs[0].size, node.stride), inputs[0].frames)

    def layers(self, node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
        """All layers, in the order of computation; for one frame for those that are not temporal.

        None by default: the values stay where they are.
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
    """Names of the primitives that can be the blocks of a stage, sorted; on clips also of those that are temporal."""
    return [name for name in PRIMITIVES if PRIMITIVES[name].block and (temporal or not PRIMITIVES[name].temporal)]


def conv_norm(inputs: int, outputs: int, kernel: Size, size: Size, groups: int = 1, frames: int = 1) -> Iterator[Layer]:
    """A convolution from `inputs` to `outputs` channels in `groups`, without bias, and the norm behind it.

    `size` is the output's, of one of `frames`.
    """
    yield Layer("conv", inputs, outputs, kernel, size, groups, frames=frames)
    yield Layer("norm", outputs, outputs, ones(len(size)), size, frames=frames)


def is_same(node: Node, inputs: Sequence[Shape]) -> bool:
    """Whether a block keeps channels and size, so that its input can be added to its output."""
    return inputs[0].channels == node.channels and node.stride == ones(len(node.stride))


def shortcut(node: Node, inputs: Sequence[Shape]) -> Iterator[Layer]:
    """Layers of a residual connection: none, or a strided pointwise projection where shapes differ."""
    size = strided(inputs[0].size, node.stride)
    if not is_same(node, inputs):
        yield from conv_norm(inputs[0].channels, node.channels, ones(len(size)), size)
    yield Layer("move", node.channels, node.channels, ones(len(size)), size)
