"""How each primitive may be used: what the contract tests go through.

A block needs no row: it takes any channels to any channels at any stride and with any odd kernel, and is
tried so. Give a row to what is no block, or has options to try.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

from voxnas.arch.graph import resolve_options
from voxnas.arch.layers import Size, ones, strided
from voxnas.arch.primitives.base import PRIMITIVES, Node, Primitive, Shape, Value

SIZES = {1: ((11,), (56,)), 2: ((9, 11), (40, 7)), 3: ((9, 11, 9), (40, 56, 7))}
STRIDES = {1: ((1,), (2,)), 2: ((1, 1), (2, 2), (1, 2)), 3: ((1, 1, 1), (2, 2, 2), (1, 2, 2))}
KERNELS = {1: ((3,), (1,), (5,)), 2: ((3, 3), (1, 1), (5, 5), (1, 3)), 3: ((3,) * 3, (1,) * 3, (5,) * 3, (1, 3, 3))}
FRAMES = 5

Channels = tuple[tuple[int, ...], int | None]
"""Channels of the inputs, and those asked for; None: as the primitive has it."""

ANY: tuple[Channels, ...] = (((8,), 12), ((8,), 8), ((7,), 5), ((12,), 4))
"""What a block is tried with: more, equal (where it may have a skip), prime and fewer."""


@dataclass(frozen=True)
class Row:
    """What is tried of a primitive.

    Attributes
    ----------
    channels : tuple of Channels
        The first is tried with everything else.
    options : tuple of dict
        Likewise; what is not named has its default.
    kernels, strides : bool
        Whether it has a kernel, and a stride.
    coarser : tuple of int
        How many times smaller each input is than the first; empty: all have one size.
    vector : bool
        Whether it takes one vector a sample, not a volume.
    unread : tuple of int
        Inputs of which only the size counts.
    squares : dict of dims to sizes
        What it takes in place of any size.
    undone : tuple of str
        Ends of the names of parameters that a later norm undoes, as in the published block.
    memory_error : float
        Largest relative error of the predicted memory that the forward pass keeps.
    """

    channels: tuple[Channels, ...] = (((6,), None),)
    options: tuple[dict[str, Value], ...] = ({},)
    kernels: bool = False
    strides: bool = False
    coarser: tuple[int, ...] = ()
    vector: bool = False
    unread: tuple[int, ...] = ()
    squares: dict[int, tuple[Size, ...]] = field(default_factory=dict)
    undone: tuple[str, ...] = ()
    memory_error: float = 0.3


BLOCK = Row(channels=ANY, kernels=True, strides=True)


def block(*options: dict[str, Value], **changes) -> Row:
    """Row of a block, with options to try beside the defaults."""
    return replace(BLOCK, options=({}, *options), **changes)


USES: dict[str, Row] = {
    "activate": Row(),
    "add": Row(channels=(((6, 6), None), ((4, 4, 4), None))),
    "attention_gate": Row(channels=(((6, 4), 6), ((1, 1), 1))),
    "average_pool": Row(strides=True),
    "bottleneck": block({"expansion": 2}),
    "channel_shuffle": Row(options=({}, {"groups": 3})),
    "channel_slice": Row(channels=(((6,), 6),)),
    "concat": Row(channels=(((4, 6), None), ((2, 3, 4), None))),
    "conv": Row(
        channels=(((6,), 4),),
        options=(
            {},
            {"groups": 2},
            {"scale": False},
            {"norm": False, "bias": True},
            {"norm": False, "activate": False},
        ),
        kernels=True,
        strides=True,
    ),
    "crop": Row(channels=(((6, 4), None),), coarser=(1, 2), unread=(1,)),
    "dense": Row(channels=(((6,), 4),), options=({}, {"grid": 3})),
    "dense_layer": Row(channels=(((6,), None),), kernels=True),
    "dilated": block({"dilation": 3}),
    "excite": Row(options=({}, {"reduction": 16})),
    "factorised": block({"matched": True}),
    "fire": block({"bypass": False, "squeeze": 0.5}),
    "ghost": block({"ratio": 3}),
    "global_pool": Row(),
    "grid_pool": Row(),
    "identity": Row(),
    "inverted": block({"expansion": 1}),
    "large_kernel": block({"wider": 4}, {"expansion": 2}),
    "linear_head": Row(channels=(((6,), 3),), vector=True),
    "max_pool": Row(strides=True),
    "mix": Row(channels=(((4, 4, 4, 4), None), ((6,) * 4, None)), options=({}, {"zero": True})),
    "normalize": Row(),
    "pairs": Row(channels=(((2,), 2 * 36), ((1,), 36)), squares={2: ((9, 9),), 3: ((1, 9, 9),)}),
    "pointwise_head": Row(channels=(((6,), 3),)),
    "shift": block({"diagonals": True}),
    "shufflenet": block({"groups": 2}, undone=("depthwise.1.bias",)),
    "shufflenet2": block(undone=("first.0.1.bias", "second.1.1.bias")),
    "skip": block(memory_error=0.4),
    "time_attention": Row(channels=(((6,), None), ((8,), None)), options=({}, {"heads": 1})),
    "time_conv": Row(
        channels=(((4,), 6), ((8,), 8)), options=({}, {"time_kernel": 5, "time_stride": 2}, {"causal": True})
    ),
    "time_difference": block({"threshold": 0.5, "tile": 4}),
    "time_gru": Row(channels=(((4,), 6), ((5,), 5))),
    "time_max": Row(),
    "time_mean": Row(),
    "time_shift": Row(channels=(((6,), None), ((1,), None)), options=({}, {"share": 0.25, "causal": True})),
    "time_tcn": Row(
        channels=(((4,), 6), ((5,), 5)),
        options=({"levels": 1}, {"time_kernel": 2, "levels": 2}),
        memory_error=0.7,
    ),
    "transposed": Row(channels=(((6,), 4),), strides=True),
    "upsample": Row(options=({}, {"mode": "nearest"}), strides=True),
    "window_attention": block({"shifted": True, "window": 3}),
    "window_average": Row(kernels=True, strides=True, memory_error=0.5),
    "window_max": Row(kernels=True, strides=True),
}


def usable() -> list[str]:
    """Names of the primitives of which it is known how they are used."""
    return [name for name in PRIMITIVES if name in USES or PRIMITIVES[name].block]


def row_of(name: str) -> Row:
    """Row of a primitive."""
    return USES.get(name, BLOCK)


@dataclass(frozen=True)
class Use:
    """One use of a primitive: a node, and the sizes of what comes in."""

    op: str
    size: Size
    channels: Channels
    kernel: Size
    stride: Size
    options: dict[str, Value] = field(default_factory=dict)
    norm: str = "instance"
    activation: str = "leaky_relu"

    @property
    def dims(self) -> int:
        return len(self.size)

    @property
    def primitive(self) -> Primitive:
        return PRIMITIVES[self.op]

    @cached_property
    def node(self) -> Node:
        """The node, after the primitive has agreed to it."""
        given, asked = self.channels
        node = Node(
            id=self.op,
            op=self.op,
            inputs=tuple(f"input_{i}" for i in range(len(given))),
            channels=self.primitive.channels(given, asked),
            kernel=self.kernel,
            stride=self.stride,
            norm=self.norm,
            activation=self.activation,
            options=resolve_options(self.primitive, self.options),
        )
        self.primitive.check(node, given, self.dims)
        return node

    @property
    def inputs(self) -> tuple[Shape, ...]:
        """Shapes of the inputs."""
        given = self.channels[0]
        factors = row_of(self.op).coarser or (1,) * len(given)
        frames = FRAMES if self.primitive.temporal else 1
        return tuple(
            Shape(channels, strided(self.size, (factor,) * self.dims), frames)
            for channels, factor in zip(given, factors, strict=True)
        )

    def __str__(self) -> str:
        parts = [self.op, *(f"{name}={value}" for name, value in self.options.items())]
        given, asked = self.channels
        parts.append("+".join(map(str, given)) + (f"to{asked}" if asked else ""))
        parts += [label + "x".join(map(str, part)) for label, part in (("", self.size), ("k", self.kernel))]
        return "-".join([*parts, "s" + "x".join(map(str, self.stride))])


def uses_of(name: str) -> Iterator[Use]:
    """Uses of a primitive: at each dimension and stride, the size, the channels, the kernel and the options in turn."""
    row = row_of(name)
    for dims in PRIMITIVES[name].dims:
        sizes = row.squares.get(dims) or ((ones(dims),) if row.vector else SIZES[dims])
        kernels = KERNELS[dims] if row.kernels else (ones(dims),)
        for stride in STRIDES[dims] if row.strides else (ones(dims),):
            first = Use(name, sizes[0], row.channels[0], kernels[0], stride, row.options[0])
            yield first
            yield from (replace(first, size=size) for size in sizes[1:])
            yield from (replace(first, channels=channels) for channels in row.channels[1:])
            yield from (replace(first, kernel=kernel) for kernel in kernels[1:])
            yield from (replace(first, options=options) for options in row.options[1:])


def typical_uses(name: str) -> Iterator[Use]:
    """The uses that differ in more than cost: smallest size, first kernel, first two channels."""
    row = row_of(name)
    for use in uses_of(name):
        small = row.vector or row.squares or use.size == SIZES[use.dims][0]
        first = not row.kernels or use.kernel == KERNELS[use.dims][0]
        if small and first and use.channels in row.channels[:2]:
            yield use
